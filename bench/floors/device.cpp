// SPDX-License-Identifier: BSL-1.0
// bench/floors/device.cpp: what the device and its file system take, without any engine.

#include "bench/measure.hpp"
#include "bench/workloads/workloads.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

namespace bench {

namespace {

constexpr std::size_t block_bytes = 4096;

/// A file that goes away.
class scratch_file {
  public:
    explicit scratch_file(std::filesystem::path const& path)
        : path_(path), file_(::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600)) {
        if (file_ < 0) throw std::runtime_error("cannot make " + path.string());
    }
    scratch_file(scratch_file const&) = delete;
    scratch_file& operator=(scratch_file const&) = delete;
    ~scratch_file() {
        ::close(file_);
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);
    }

    void write(std::string const& bytes, std::size_t offset) const {
        auto const done = pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (done != static_cast<ssize_t>(bytes.size())) throw std::runtime_error("pwrite");
    }
    void sync() const {
        if (fdatasync(file_) != 0) throw std::runtime_error("fdatasync");
    }

  private:
    std::filesystem::path path_;
    int file_;
};

/// The median of many writes of a block, each followed by a sync, in microseconds.
template <typename OffsetOf>
[[nodiscard]] double synced_write_us(scratch_file const& file, std::size_t times, OffsetOf offset) {
    std::string const block(block_bytes, 'x');
    std::vector<double> micros;
    for (std::size_t i = 0; i < times; ++i) {
        stopwatch const time;
        file.write(block, offset(i));
        file.sync();
        micros.push_back(time.seconds() * 1e6);
    }
    return median(std::move(micros));
}

} // namespace

void run_device(task& of) {
    auto const times = std::clamp<std::size_t>(of.pairs / 2000, 20, 500);
    auto const path = of.folder / "floor";
    {
        scratch_file const file(path);
        file.write(std::string(block_bytes * times, 'y'), 0);
        file.sync();
        of.out.cost("floors", "4 KiB overwrite in place + fdatasync", "us",
                    synced_write_us(file, times, [&](std::size_t i) { return i * block_bytes; }));
        of.out.cost(
            "floors", "4 KiB append + fdatasync", "us",
            synced_write_us(file, times, [&](std::size_t i) { return (times + i) * block_bytes; }));
    }
    {
        scratch_file const file(path);
        std::string const block(block_bytes, 'z');
        auto const writes = 40 * times;
        stopwatch const time;
        for (std::size_t i = 0; i < writes; ++i) file.write(block, (i % 4096) * block_bytes);
        of.out.rate("floors", "4 KiB pwrite into the page cache", "/s", static_cast<double>(writes),
                    time.seconds());
    }
    scratch_file const file(path);
    std::string const piece(std::size_t{1} << 20U, 'w');
    auto const pieces = 1 + of.pairs * (key_bytes + value_bytes) / piece.size();
    stopwatch const time;
    for (std::size_t i = 0; i < pieces; ++i) file.write(piece, i * piece.size());
    file.sync();
    of.out.rate("floors", "sequential write + fdatasync", "MB/s",
                static_cast<double>(pieces * piece.size()) / 1e6, time.seconds());
}

} // namespace bench
