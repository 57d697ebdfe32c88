#include "cublas_library.hpp"

#include <dlfcn.h>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::cuda {
namespace {

void* load() {
    const std::string name = text("libcublas.so.", CUBLAS_VER_MAJOR);
    std::string reason;
    // Where the linker looks, then where it was when this was built.
    for (const std::string& path : {name, text(LAYERLEDGER_CUDA_FOLDER, "/", name)}) {
        if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
            return library;
        }
        if (const char* said = dlerror(); said != nullptr && reason.empty()) {
            reason = said;
        }
    }
    throw Error(ExitCode::unavailable,
                text("cuBLAS cannot be loaded (", reason,
                     ") put the folder of CUDA's libraries into LD_LIBRARY_PATH"));
}

template <class Function>
void find(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(library, name));
    LL_VALIDATE(function != nullptr, ExitCode::unavailable,
                text("cuBLAS has no function ", name, " (it is of another version) use CUDA ",
                     CUBLAS_VER_MAJOR, "'s"));
}

CublasFunctions functions_of(void* library) {
    CublasFunctions cublas;
    find(library, "cublasCreate_v2", cublas.create);
    find(library, "cublasDestroy_v2", cublas.destroy);
    find(library, "cublasSetStream_v2", cublas.set_stream);
    find(library, "cublasSetWorkspace_v2", cublas.set_workspace);
    find(library, "cublasGemmEx", cublas.gemm);
    find(library, "cublasGetStatusString", cublas.status_text);
    find(library, "cublasGetProperty", cublas.property);
    return cublas;
}

}  // namespace

const CublasFunctions& cublas_library() {
    static const CublasFunctions functions = functions_of(load());
    return functions;
}

std::string version_of(const CublasFunctions& cublas) {
    std::string version;
    for (const libraryPropertyType part : {MAJOR_VERSION, MINOR_VERSION, PATCH_LEVEL}) {
        int number = 0;
        static_cast<void>(cublas.property(part, &number));
        version += text(version.empty() ? "" : ".", number);
    }
    return version;
}

}  // namespace layerledger::cuda
