// Preloaded before oneDNN, for tests: once the file $FAULT_FILE is there, rank $FAULT_RANK fails in
// its next computation as $FAULT_KIND says: "throws" (the library reports an error), "exits" (some
// library ends the process), "hangs". Or, without the file, "stops at MPI's end".
#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string_view>

namespace {

std::string_view variable(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

}  // namespace

extern "C" int MPI_Finalize() {
    static const auto finalize = reinterpret_cast<int (*)()>(dlsym(RTLD_NEXT, __func__));
    if (variable("PMIX_RANK") == variable("FAULT_RANK") &&
        variable("FAULT_KIND") == "stops at MPI's end") {
        raise(SIGSTOP);
    }
    return finalize();
}

extern "C" dnnl_status_t dnnl_primitive_execute(const_dnnl_primitive_t primitive,
                                                dnnl_stream_t stream, int count,
                                                const dnnl_exec_arg_t* arguments) {
    static const auto execute =
        reinterpret_cast<decltype(&dnnl_primitive_execute)>(dlsym(RTLD_NEXT, __func__));
    static const bool is_victim = variable("PMIX_RANK") == variable("FAULT_RANK");
    if (is_victim && access(variable("FAULT_FILE").data(), F_OK) == 0) {
        const std::string_view kind = variable("FAULT_KIND");
        if (kind == "throws") {
            return dnnl_out_of_memory;
        }
        if (kind == "exits") {
            std::exit(5);
        }
        for (;;) {
            pause();
        }
    }
    return execute(primitive, stream, count, arguments);
}
