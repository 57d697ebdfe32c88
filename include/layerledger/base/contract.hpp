// Contracts. EXPECT guards against programmers and vanishes in release builds; VALIDATE guards
// against input and is always on.
#pragma once

#include "layerledger/base/error.hpp"

namespace layerledger::detail {

[[noreturn]] void contract_broken(const char* kind, const char* condition,
                                  Place place = Place::here());

}  // namespace layerledger::detail

#ifdef NDEBUG
#define LL_CONTRACT_(kind, condition) static_cast<void>(sizeof(!(condition)))
#else
#define LL_CONTRACT_(kind, condition) \
    static_cast<void>((condition) || (::layerledger::detail::contract_broken(kind, #condition), 0))
#endif

/// What the caller owes.
#define LL_EXPECT(condition) LL_CONTRACT_("expectation", condition)


/// Throws Error{code, message} unless the condition holds. The message is built only on failure.
#define LL_VALIDATE(condition, code, message)              \
    do {                                                   \
        if (!(condition)) {                                \
            throw ::layerledger::Error((code), (message)); \
        }                                                  \
    } while (false)
