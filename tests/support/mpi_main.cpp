// A GoogleTest main for programs that run as several ranks: rank 0 reports progress, every rank
// reports its own failures, and a failure anywhere fails all. A barrier around each test keeps the
// ranks in the same test.
#include <gtest/gtest.h>
#include <mpi.h>

#include <iostream>
#include <memory>

#include "layerledger/comm/mpi_session.hpp"

namespace {

class RankListener : public testing::EmptyTestEventListener {
public:
    explicit RankListener(int rank) : rank_(rank) {}

    void OnTestStart(const testing::TestInfo&) override { MPI_Barrier(MPI_COMM_WORLD); }
    void OnTestPartResult(const testing::TestPartResult& result) override {
        if (result.failed() && rank_ > 0) {
            std::cerr << "[rank " << rank_ << "] " << result.file_name() << ":"
                      << result.line_number() << ": " << result.summary() << std::endl;
        }
    }
    void OnTestEnd(const testing::TestInfo&) override { MPI_Barrier(MPI_COMM_WORLD); }

private:
    int rank_;
};

}  // namespace

int main(int argc, char** argv) {
    const layerledger::MpiSession session(argc, argv);
    testing::InitGoogleTest(&argc, argv);
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
    if (rank > 0) {
        delete listeners.Release(listeners.default_result_printer());
    }
    listeners.Append(std::make_unique<RankListener>(rank).release());

    int failed = RUN_ALL_TESTS();
    if (testing::UnitTest::GetInstance()->test_to_run_count() == 0) {
        std::cerr << "no test ran\n";
        failed = 1;
    }
    MPI_Allreduce(MPI_IN_PLACE, &failed, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    return failed;
}
