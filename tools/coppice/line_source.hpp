// SPDX-License-Identifier: BSL-1.0
#pragma once
// tools/coppice/line_source.hpp: the lines of a text that the tool reads.
// Owns: the file or stdin, and the number of the line, for whoever has to complain of it.
// Invariant: a line may hold any bytes but a newline; the last one need not end with one.

#include "tools/coppice/exit_code.hpp"
#include "tools/coppice/output.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace tool {

/// The lines of a file or of stdin, with their numbers.
class line_source {
  public:
    /// @param name of a file, or "-"
    explicit line_source(std::string const& name)
        : line_source(name == "-" ? "stdin" : name,
                      name == "-" ? stdin : std::fopen(name.c_str(), "re")) {}
    /// Takes a file that is open already. @param name for complaints
    line_source(std::string name, std::FILE* file) : name_(std::move(name)), file_(file, &close) {
        if (!file_) throw os_failure(name_);
    }
    line_source(line_source const&) = delete;
    line_source& operator=(line_source const&) = delete;
    ~line_source() { std::free(line_); } // NOLINT: getline(3) allocates with malloc

    /// The next line without its newline, good until the next call; nothing at the end.
    [[nodiscard]] std::optional<std::string_view> next() {
        auto const length = ::getline(&line_, &room_, file_.get());
        if (length < 0) {
            if (std::ferror(file_.get()) != 0) throw os_failure(name_);
            return {};
        }
        ++number_;
        bytes_ += static_cast<std::uint64_t>(length);
        std::string_view line(line_, static_cast<std::size_t>(length));
        if (!line.empty() && line.back() == '\n') line.remove_suffix(1);
        return line;
    }

    /// From now on the lines can be read more than once: what comes through a pipe is copied to a
    /// file that has no name. REQUIRES: nothing was read so far
    void keep() {
        start_ = std::ftell(file_.get());
        if (start_ >= 0) return;
        std::unique_ptr<std::FILE, void (*)(std::FILE*)> copy(std::tmpfile(), &close);
        if (!copy) throw os_failure("a temporary file");
        std::array<char, std::size_t{1} << 16U> buffer{};
        while (auto const got = std::fread(buffer.data(), 1, buffer.size(), file_.get())) {
            if (std::fwrite(buffer.data(), 1, got, copy.get()) != got) {
                throw os_failure("a temporary file");
            }
        }
        if (std::ferror(file_.get()) != 0) throw os_failure(name_);
        file_ = std::move(copy);
        start_ = 0;
        rewind();
    }
    /// Begins again with the first line. REQUIRES: `keep` was called
    void rewind() {
        if (std::fseek(file_.get(), start_, SEEK_SET) != 0) throw os_failure(name_);
        number_ = 0;
        bytes_ = 0;
    }

    /// How many bytes were read so far.
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    /// Where the line is that was read last, in words.
    [[nodiscard]] std::string place() const { return name_ + ": line " + std::to_string(number_); }

    [[noreturn]] void refuse(std::string const& why) const {
        throw failure(exit_code::corrupt, place() + ": " + why);
    }

  private:
    static void close(std::FILE* file) {
        if (file != nullptr && file != stdin) static_cast<void>(std::fclose(file));
    }

    std::string name_;
    std::unique_ptr<std::FILE, void (*)(std::FILE*)> file_;
    long start_ = 0; ///< where the first line begins
    char* line_ = nullptr;
    std::size_t room_ = 0;
    std::uint64_t number_ = 0;
    std::uint64_t bytes_ = 0;
};

} // namespace tool
