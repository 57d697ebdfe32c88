#include "network_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace layerledger {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

const Connection mpi{"10.77.0.1", 1024, "10.77.0.2", 40'000, true};
const Connection nccl{"10.78.0.1", 50'000, "10.78.0.2", 50'001, true};

TEST(NetworkUse, WhatHasComeSinceNcclBeganIsNccls) {
    const NetworkUse use = network_use({mpi}, {mpi, nccl}, "nccl");
    EXPECT_TRUE(use.has_nccl);
    EXPECT_THAT(use.mpi, ElementsAre(mpi));
    EXPECT_THAT(use.nccl, ElementsAre(nccl));
}

TEST(NetworkUse, MpisConnectionsStayItsOwnThoughTheyMayHaveEnded) {
    const NetworkUse use = network_use({mpi}, {nccl}, "nccl");
    EXPECT_THAT(use.mpi, ElementsAre(mpi));
    EXPECT_THAT(use.nccl, ElementsAre(nccl));
}

TEST(NetworkUse, BetweenTheSameAddressesPortsTellThemApart) {
    Connection beside = mpi;
    beside.local_port = 1025;
    EXPECT_THAT(network_use({mpi}, {mpi, beside}, "nccl").nccl, ElementsAre(beside));
}

TEST(NetworkUse, OfNcclMayBeNoTcpAtAll) {
    const NetworkUse use = network_use({mpi}, {mpi}, "nccl");
    EXPECT_TRUE(use.has_nccl);
    EXPECT_THAT(use.nccl, IsEmpty());
}

TEST(NetworkUse, IsMpisAloneWhereMpiSumsWheneverItConnected) {
    const NetworkUse use = network_use({mpi}, {mpi, nccl}, "mpi");
    EXPECT_FALSE(use.has_nccl);
    EXPECT_THAT(use.mpi, UnorderedElementsAre(mpi, nccl));
    EXPECT_THAT(use.nccl, IsEmpty());
}

}  // namespace
}  // namespace layerledger
