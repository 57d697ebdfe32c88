// Preloaded before cuDNN, for tests on a GPU. On rank $FAULT_RANK, as $FAULT_KIND says: "version"
// (cuDNN is another version), "engine" (it proposes no engine for a convolution), "fault" (once the
// file $FAULT_FILE is there, the kernel of its next convolution writes to where there is no
// memory).
#include <cudnn.h>
#include <dlfcn.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

std::string_view variable(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

bool is_asked_for(std::string_view kind) {
    static const bool is_victim = variable("PMIX_RANK") == variable("FAULT_RANK");
    return is_victim && variable("FAULT_KIND") == kind;
}

/// cuDNN's own function. Its library is there by the time that anyone calls it.
template <class Function>
Function real(const char* name) {
    static void* const library =
        dlopen(("libcudnn.so." + std::to_string(CUDNN_MAJOR)).c_str(), RTLD_LAZY | RTLD_NOLOAD);
    return reinterpret_cast<Function>(dlsym(library, name));
}

// Of the last variant pack: all convolutions call their tensors the same and share a workspace.
std::vector<std::int64_t> tensors;
void* workspace = nullptr;

}  // namespace

extern "C" {

std::size_t cudnnGetVersion() {
    const auto version = real<decltype(&cudnnGetVersion)>(__func__)();
    return version + (is_asked_for("version") ? 100 : 0);
}

cudnnStatus_t cudnnBackendGetAttribute(const cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, std::int64_t most,
                                       std::int64_t* count, void* elements) {
    const auto get = real<decltype(&cudnnBackendGetAttribute)>(__func__);
    if (is_asked_for("engine") && name == CUDNN_ATTR_ENGINEHEUR_RESULTS) {
        *count = 0;
        return CUDNN_STATUS_SUCCESS;
    }
    return get(descriptor, name, type, most, count, elements);
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, std::int64_t count,
                                       const void* elements) {
    if (name == CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS) {
        const auto* ids = static_cast<const std::int64_t*>(elements);
        tensors.assign(ids, ids + count);
    } else if (name == CUDNN_ATTR_VARIANT_PACK_WORKSPACE) {
        workspace = *static_cast<void* const*>(elements);
    }
    return real<decltype(&cudnnBackendSetAttribute)>(__func__)(descriptor, name, type, count,
                                                               elements);
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
    if (is_asked_for("fault") && access(variable("FAULT_FILE").data(), F_OK) == 0) {
        const auto count = static_cast<std::int64_t>(tensors.size());
        const std::vector<void*> nowhere(tensors.size(),
                                         reinterpret_cast<void*>(std::uintptr_t{1} << 20U));
        cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack);
        cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count,
                                 std::vector(tensors).data());
        cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
                                 count, nowhere.data());
        cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1,
                                 &workspace);
        cudnnBackendFinalize(pack);
    }
    return real<decltype(&cudnnBackendExecute)>(__func__)(handle, plan, pack);
}

}  // extern "C"
