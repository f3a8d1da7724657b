// SPDX-License-Identifier: BSL-1.0
#pragma once
// What the two units of tests/abi/ show to each other: nothing of coppice but its exceptions.

#include <cstdint>
#include <memory>
#include <string>

namespace abi {

/// A database, however its unit was built.
struct handle {
    handle() = default;
    handle(handle const&) = delete;
    handle& operator=(handle const&) = delete;
    virtual ~handle() = default;
    virtual void put(std::string const& key, std::string const& value) = 0;
    [[nodiscard]] virtual std::string get(std::string const& key) = 0;
    virtual void begin() = 0;
    virtual void commit() = 0;
    [[nodiscard]] virtual bool can_begin() = 0;
    virtual void compact() = 0;
    [[nodiscard]] virtual bool sound() = 0;
    [[nodiscard]] virtual std::uint64_t size() = 0;
};

namespace with_assertions {
[[nodiscard]] std::unique_ptr<handle> open(std::string const& path);
[[nodiscard]] bool has_assertions();
[[nodiscard]] char const* type_name();
} // namespace with_assertions

namespace without_assertions {
[[nodiscard]] std::unique_ptr<handle> open(std::string const& path);
[[nodiscard]] bool has_assertions();
[[nodiscard]] char const* type_name();
} // namespace without_assertions

} // namespace abi
