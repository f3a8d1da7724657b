// SPDX-License-Identifier: BSL-1.0
// The lock of a file: between threads, between processes, against forks and against what stands at
// its name. Real exclusion, with real processes.

#include <coppice/storage/file_medium.hpp>

#include <catch2/catch.hpp>
#include <child_process.hpp>
#include <kind_of.hpp>
#include <workbench.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sys/stat.h>

namespace {

namespace fs = std::filesystem;
namespace posix = coppice::storage::posix;
using coppice::errc;
using coppice::storage::file_medium;
using support::kind_of;
using workbench::child;
using workbench::reporter;
using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr std::uint64_t owner_offset = 2048;

bool try_lock(fs::path const& path, std::chrono::milliseconds patience = 0ms) {
    auto const lock = file_medium(path, false).lock();
    if (!lock->acquire(clock::now() + patience)) return false;
    lock->release();
    return true;
}

/// Another process asks for the lock.
bool others_can_lock(fs::path const& path) {
    child asking([&](reporter const& tell) { tell.tell(1, try_lock(path) ? 1 : 0); });
    auto const reports = asking.all_reports();
    static_cast<void>(asking.wait());
    REQUIRE(reports.size() == 1);
    return reports[0].number == 1;
}

/// Another process takes the lock and keeps it until it is killed.
child holder_of(fs::path const& path) {
    child holder([path](reporter const& tell) {
        auto const lock = file_medium(path, false).lock();
        static_cast<void>(lock->acquire({}));
        tell.tell(1, 1);
        for (;;) workbench::sleep_ms(1000);
    });
    REQUIRE(holder.next_reports().size() == 1);
    return holder;
}

std::array<std::uint64_t, 4> owner_in(fs::path const& lock_file) {
    std::array<std::uint64_t, 4> words{};
    std::ifstream file(lock_file, std::ios::binary);
    file.seekg(owner_offset);
    file.read(reinterpret_cast<char*>(words.data()), sizeof words);
    return words;
}

/// Pid, start time, token and image as they stand in a file (docs/format.md, section 9).
std::array<std::uint64_t, 4> in_file(std::array<std::uint64_t, 4> words) {
    std::uint64_t bound = 0;
    for (std::size_t i = 0; i < 3; ++i) {
        bound = (bound ^ words[i]) * 0x9E37'79B9'7F4A'7C15U;
        bound ^= bound >> 32U;
    }
    words[3] ^= bound;
    return words;
}

void plant_words(fs::path const& lock_file, std::array<std::uint64_t, 4> words) {
    std::fstream file(lock_file, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(owner_offset);
    file.write(reinterpret_cast<char const*>(words.data()), sizeof words);
}

/// Writes the record as a second copy of the library in this process would.
void plant_owner(fs::path const& lock_file, std::array<std::uint64_t, 4> const& words) {
    plant_words(lock_file, in_file(words));
}

std::array<std::uint64_t, 4> second_copy_of_this_process() {
    auto const& mine = coppice::storage::current_process();
    return {mine.identity.pid, mine.identity.start_time, mine.identity.token ^ 0x55U, mine.image};
}

/// Stands for a second copy of the library in this process: it has the lock, and its name in the
/// file. It never closes it, as nobody may.
class second_copy_with_lock {
  public:
    explicit second_copy_with_lock(fs::path const& lock_file)
        : file_(posix::open_at(AT_FDCWD, lock_file, O_RDWR | O_CREAT, 0600, "x", "x")) {
        posix::truncate(file_.get(), 4096, "x");
        write_record(second_copy_of_this_process());
        struct flock whole {};
        whole.l_type = F_WRLCK;
        REQUIRE(::fcntl(file_.get(), F_SETLK, &whole) == 0);
    }
    void write_record(std::array<std::uint64_t, 4> const& record) {
        auto const words = in_file(record);
        posix::write_at(file_.get(), owner_offset, std::as_bytes(std::span(words)), "x");
    }

  private:
    posix::descriptor file_;
};

/// Another process asks the kernel, and not this library.
bool kernel_excludes_others(fs::path const& lock_file) {
    child asking([&](reporter const& tell) {
        auto const file = posix::open_at(AT_FDCWD, lock_file, O_RDWR, 0, "x", "x");
        struct flock whole {};
        whole.l_type = F_WRLCK;
        tell.tell(1, ::fcntl(file.get(), F_SETLK, &whole) != 0 ? 1 : 0);
    });
    auto const reports = asking.all_reports();
    static_cast<void>(asking.wait());
    REQUIRE(reports.size() == 1);
    return reports[0].number == 1;
}

std::size_t open_descriptors() {
    auto const all = fs::directory_iterator("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

} // namespace

TEST_CASE("two handles on one file exclude two threads of a process") {
    workbench::folder const here;
    int counter = 0; // unguarded: what the lock is for
    auto const work = [&] {
        file_medium place(here / "a", false);
        auto const lock = place.lock();
        for (int i = 0; i < 500; ++i) {
            CHECK(lock->acquire({}));
            ++counter;
            lock->release();
        }
    };
    std::thread other(work);
    work();
    other.join();
    CHECK(counter == 1000);
}

TEST_CASE("all paths to a file share one turn") {
    workbench::folder const here;
    std::ofstream(here / "a").close();
    fs::create_symlink("a", here / "link");
    auto const lock = file_medium(here / "a", false).lock();
    REQUIRE(lock->acquire({}));
    auto const relative = fs::relative(here / "a");
    for (fs::path const& path : {relative, here / "link", here / "a"}) {
        INFO(path);
        CHECK(kind_of([&] { static_cast<void>(try_lock(path)); }) == errc::would_deadlock);
        std::thread([&] { CHECK_FALSE(try_lock(path)); }).join();
    }
    lock->release();
    CHECK(try_lock(here / "link"));
}

TEST_CASE("another process is excluded as long as the lock is held") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    auto const lock = file_medium(here / "a", false).lock();
    CHECK(others_can_lock(here / "a"));
    REQUIRE(lock->acquire({}));
    lock->check_held();
    CHECK_FALSE(others_can_lock(here / "a"));
    lock->release();
    CHECK(others_can_lock(here / "a"));
}

TEST_CASE("the lock of a killed process is free") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    auto holder = holder_of(here / "a");
    CHECK_FALSE(try_lock(here / "a"));
    auto const begin = clock::now();
    CHECK_FALSE(try_lock(here / "a", 60ms));
    CHECK(clock::now() - begin >= 60ms);
    CHECK(clock::now() - begin < 60s);
    holder.signal(SIGKILL);
    CHECK(try_lock(here / "a", 60s));
}

TEST_CASE("a timeout on the file gives the turn back") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    auto const holder = holder_of(here / "a");
    auto const lock = file_medium(here / "a", false).lock();
    CHECK_FALSE(lock->acquire(clock::now() - 1s));
    CHECK_FALSE(lock->acquire(clock::now()));
    std::thread([&] { CHECK_FALSE(lock->acquire(clock::now() + 5ms)); }).join();
}

TEST_CASE("opening and letting go of other handles does not give the lock away") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    auto reader = file_medium(here / "a", false).reader_lock();
    CHECK(reader == nullptr);
    { auto const makes_it = file_medium(here / "a", false).lock(); }
    reader = file_medium(here / "a", false).reader_lock();
    REQUIRE(reader != nullptr);
    auto const lock = file_medium(here / "a", false).lock();
    REQUIRE(lock->acquire({}));
    reader.reset();
    for (int i = 0; i < 3; ++i) {
        auto const another = file_medium(here / "a", false).lock();
        auto const for_page = file_medium(here / "a", false).reader_lock();
    }
    CHECK_FALSE(others_can_lock(here / "a"));
    lock->release();
}

TEST_CASE("a signal does not end the waiting for another process") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    struct sigaction action {};
    struct sigaction old {};
    action.sa_handler = [](int) {}; // and no SA_RESTART
    ::sigaction(SIGUSR1, &action, &old);
    auto holder = holder_of(here / "a");
    std::atomic<bool> locked{false};
    std::thread waiting([&] {
        auto const lock = file_medium(here / "a", false).lock();
        locked = lock->acquire({});
        lock->release();
    });
    for (int i = 0; i < 20; ++i) {
        ::pthread_kill(waiting.native_handle(), SIGUSR1);
        workbench::sleep_ms(2);
    }
    CHECK_FALSE(locked);
    holder.signal(SIGKILL);
    waiting.join();
    CHECK(locked);
    ::sigaction(SIGUSR1, &old, nullptr);
}

TEST_CASE("two processes that wait for each other are told so, and one goes on") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    auto const first = file_medium(here / "a", false).lock();
    REQUIRE(first->acquire({}));
    child other([&](reporter const& tell) {
        auto const theirs = file_medium(here / "b", false).lock();
        static_cast<void>(theirs->acquire({}));
        tell.tell(1, 0);
        auto const kind = kind_of([&] {
            auto const mine = file_medium(here / "a", false).lock();
            static_cast<void>(mine->acquire({}));
        });
        theirs->release();
        tell.tell(2, kind == errc::would_deadlock ? 1 : 0);
    });
    REQUIRE(other.next_reports().size() == 1);
    auto const kind = kind_of([&] {
        auto const second = file_medium(here / "b", false).lock();
        if (second->acquire({})) second->release();
    });
    first->release();
    auto const reports = other.all_reports();
    REQUIRE(reports.size() == 1);
    CHECK(((kind == errc::would_deadlock) != (reports[0].number == 1)));
}

TEST_CASE("a lock file that is removed or replaced while the lock is held is noticed") {
    workbench::folder const here;
    auto const lock = file_medium(here / "a", false).lock();
    REQUIRE(lock->acquire({}));
    lock->check_held();
    fs::remove(here / "a.lock");
    CHECK(kind_of([&] { lock->check_held(); }) == errc::lock_lost);
    std::ofstream(here / "a.lock") << std::string(4096, '\0');
    CHECK(kind_of([&] { lock->check_held(); }) == errc::lock_lost);
    lock->release();
    CHECK(kind_of([&] { static_cast<void>(lock->acquire({})); }) == errc::lock_lost);
    CHECK(kind_of([&] { static_cast<void>(lock->acquire({})); }) == errc::lock_lost);
    CHECK(try_lock(here / "a"));
}

TEST_CASE("what is not a plain file of one name is refused as a lock file, and left alone") {
    workbench::folder const here;
    std::ofstream(here / "victim") << "precious";
    fs::create_symlink("victim", here / "link.lock");
    fs::create_symlink("missing", here / "dangling.lock");
    fs::create_directory(here / "folder.lock");
    REQUIRE(::mkfifo((here / "pipe.lock").c_str(), 0600) == 0);
    fs::create_hard_link(here / "victim", here / "twice.lock");
    for (auto const* const name : {"link", "dangling", "folder", "pipe", "twice"}) {
        INFO(name);
        file_medium place(here / name, false);
        CHECK(kind_of([&] { static_cast<void>(place.lock()); }) == errc::lock_unusable);
    }
    for (auto const* const name : {"link", "dangling", "folder", "pipe"}) {
        CHECK(file_medium(here / name, false).reader_lock() == nullptr);
    }
    CHECK(fs::file_size(here / "victim") == 8);
    CHECK_FALSE(fs::exists(here / "missing"));
}

TEST_CASE("a new lock file is a page of zeros, and whoever may use the database may use it") {
    workbench::folder const here;
    auto const old = ::umask(022);
    std::ofstream(here / "a").close();
    fs::permissions(here / "a", fs::perms{0600});
    auto const lock = file_medium(here / "a", false).lock();
    ::umask(old);
    CHECK((fs::status(here / "a.lock").permissions() & fs::perms{0077}) == fs::perms::none);
    CHECK(fs::file_size(here / "a.lock") == 4096);
    REQUIRE(lock->page() != nullptr);
    for (std::size_t i = 0; i < 4096; ++i) CHECK(lock->page()[i] == std::byte{0});
}

TEST_CASE("the page is seen by readers of this and other processes") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    auto const lock = file_medium(here / "a", false).lock();
    auto const reader = file_medium(here / "a", false).reader_lock();
    REQUIRE(reader != nullptr);
    REQUIRE(lock->acquire({}));
    std::array<std::uint64_t, 2> const words{7, 0x0807060504030201U};
    lock->write_page(128, std::as_bytes(std::span(words)));
    CHECK(std::memcmp(reader->page() + 128, words.data(), sizeof words) == 0);
    child looking([&](reporter const& tell) {
        auto const theirs = file_medium(here / "a", false).reader_lock();
        tell.tell(1, static_cast<std::uint64_t>(theirs->page()[128]));
    });
    auto const reports = looking.all_reports();
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].number == 7);
    lock->release();
}

TEST_CASE("a fork can neither take nor check nor mark nor give back its parent's lock") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    auto lock = file_medium(here / "a", false).lock();
    REQUIRE(lock->acquire({}));
    child fork([&](reporter const& tell) {
        std::array<std::uint64_t, 1> const word{1};
        auto const told = [&](std::function<void()> const& call) {
            tell.tell(1, kind_of(call) == errc::forked ? 1 : 0);
        };
        told([&] { static_cast<void>(lock->acquire({})); });
        told([&] { lock->check_held(); });
        told([&] { lock->write_page(0, std::as_bytes(std::span(word))); });
        lock->release();
        lock.reset();
        tell.tell(1, !try_lock(here / "a") ? 1 : 0);
    });
    auto const reports = fork.all_reports();
    CHECK(fork.wait() == 0);
    REQUIRE(reports.size() == 4);
    for (auto const& each : reports) CHECK(each.number == 1);
    lock->check_held();
    CHECK_FALSE(others_can_lock(here / "a"));
    lock->release();
}

TEST_CASE("the owner is written when the lock is taken, and taken out by the last handle") {
    workbench::folder const here;
    {
        auto const lock = file_medium(here / "a", false).lock();
        CHECK(owner_in(here / "a.lock")[0] == 0);
        REQUIRE(lock->acquire({}));
        CHECK(owner_in(here / "a.lock")[0] == static_cast<std::uint64_t>(::getpid()));
        lock->release();
        CHECK(owner_in(here / "a.lock")[2] == lock->identity().token);
    }
    CHECK(owner_in(here / "a.lock") == std::array<std::uint64_t, 4>{});
}

TEST_CASE(
    "a second copy of the library in this process is noticed when it opens and when it locks") {
    workbench::folder const here;
    auto const lock = file_medium(here / "a", false).lock();
    plant_owner(here / "a.lock", second_copy_of_this_process());
    CHECK(kind_of([&] { static_cast<void>(lock->acquire({})); }) == errc::second_copy);
    file_medium fresh(here / "b", false);
    { auto const makes_it = fresh.lock(); }
    plant_owner(here / "b.lock", second_copy_of_this_process());
    CHECK(kind_of([&] { static_cast<void>(fresh.lock()); }) == errc::second_copy);
}

TEST_CASE("an owner of another process, program or boot is not a second copy") {
    workbench::folder const here;
    auto const other = second_copy_of_this_process();
    for (std::size_t const word : {0U, 1U, 3U}) {
        { auto const makes_it = file_medium(here / "a", false).lock(); }
        auto changed = other;
        ++changed[word];
        plant_owner(here / "a.lock", changed);
        CHECK(try_lock(here / "a"));
    }
}

// Two children of one process, started in the same tick of the clock, differ in pid and token
// alone. Where one read the record while the other one wrote it, it could see its own pid with the
// other's token, and was told that a second copy of the library is in it. Now and then the test of
// processes below failed with that.
TEST_CASE("words of two owners are no third one, and no second copy") {
    workbench::folder const here;
    auto const& mine = coppice::storage::current_process();
    std::array<std::uint64_t, 4> const own{mine.identity.pid, mine.identity.start_time,
                                           mine.identity.token, mine.image};
    auto sibling = own;
    ++sibling[0];
    sibling[2] ^= 0x55U;
    auto const ours = in_file(own);
    auto const theirs = in_file(sibling);
    for (unsigned mixture = 0; mixture < 16; ++mixture) {
        { auto const makes_it = file_medium(here / "a", false).lock(); }
        auto words = ours;
        for (std::size_t i = 0; i < 4; ++i) {
            if ((mixture >> i & 1U) != 0) words[i] = theirs[i];
        }
        plant_words(here / "a.lock", words);
        CAPTURE(mixture);
        CHECK(try_lock(here / "a"));
    }
}

TEST_CASE("poison is counted for all handles of a file, and gone with the last of them") {
    workbench::folder const here;
    auto const lock = file_medium(here / "a", false).lock();
    auto const before = lock->poison_count();
    file_medium(here / "a", false).lock()->poison();
    CHECK(lock->poison_count() == before + 1);
    CHECK(file_medium(here / "b", false).lock()->poison_count() == 0);
}

TEST_CASE(
    "refusing a second copy does not drop its lock, for a writer or a reader, and leaks once") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    second_copy_with_lock const other(here / "a.lock");
    file_medium place(here / "a", false);
    REQUIRE(kernel_excludes_others(here / "a.lock"));
    { auto const for_page = place.reader_lock(); }
    CHECK(kernel_excludes_others(here / "a.lock"));
    CHECK(kind_of([&] { static_cast<void>(place.lock()); }) == errc::second_copy);
    CHECK(kernel_excludes_others(here / "a.lock"));
    auto const before = open_descriptors();
    for (int i = 0; i < 10; ++i) {
        CHECK(kind_of([&] { static_cast<void>(place.lock()); }) == errc::second_copy);
    }
    CHECK(open_descriptors() == before);
}

TEST_CASE("a lock works again when the second copy has gone") {
    workbench::folder const here;
    auto const lock = file_medium(here / "a", false).lock();
    plant_owner(here / "a.lock", second_copy_of_this_process());
    CHECK(kind_of([&] { static_cast<void>(lock->acquire({})); }) == errc::second_copy);
    plant_owner(here / "a.lock", {});
    CHECK(lock->acquire({}));
    lock->release();
}

TEST_CASE("processes that open and let go of handles all the time exclude each other") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    auto const counter = posix::open_at(AT_FDCWD, here / "n", O_RDWR | O_CREAT, 0600, "x", "x");
    constexpr std::uint64_t rounds = 400;
    auto const count = [&] {
        for (std::uint64_t i = 0; i < rounds; ++i) {
            auto const lock = file_medium(here / "a", false).lock();
            if (!lock->acquire({})) throw std::runtime_error("not locked");
            std::array<std::uint64_t, 1> n{};
            static_cast<void>(
                posix::read_at(counter.get(), 0, std::as_writable_bytes(std::span(n)), "x"));
            for (int pause = 0; pause < 10; ++pause) std::this_thread::yield();
            ++n[0];
            posix::write_at(counter.get(), 0, std::as_bytes(std::span(n)), "x");
            lock->release();
        }
    };
    auto const threads = [&](reporter const&) {
        std::thread one(count);
        std::thread two(count);
        count();
        one.join();
        two.join();
    };
    child first(threads);
    child second(threads);
    CHECK(first.wait() == 0);
    CHECK(second.wait() == 0);
    std::array<std::uint64_t, 1> n{};
    CHECK(posix::read_at(counter.get(), 0, std::as_writable_bytes(std::span(n)), "x") == 8);
    CHECK(n[0] == 6 * rounds);
}

TEST_CASE("a program that closes the lock file itself has lost the lock, and is told so") {
    workbench::folder const here;
    auto const lock = file_medium(here / "a", false).lock();
    CHECK(kind_of([&] { lock->check_held(); }) == errc::lock_lost);
    REQUIRE(lock->acquire({}));
    lock->check_held();
    { std::ifstream const meddler(here / "a.lock"); }
    CHECK(kind_of([&] { lock->check_held(); }) == errc::lock_lost);
    lock->release();
    REQUIRE(lock->acquire({}));
    lock->check_held();
    lock->release();
}

TEST_CASE("a lock that was opened for its page can neither be taken nor written") {
    workbench::folder const here;
    { auto const makes_it = file_medium(here / "a", false).lock(); }
    auto const reader = file_medium(here / "a", false).reader_lock();
    REQUIRE(reader != nullptr);
    std::array<std::uint64_t, 1> const word{1};
    CHECK(kind_of([&] { static_cast<void>(reader->acquire({})); }) == errc::read_only);
    CHECK(kind_of([&] { reader->write_page(0, std::as_bytes(std::span(word))); }) ==
          errc::read_only);
}

TEST_CASE("only whole words within the store's part of the page can be written") {
    workbench::folder const here;
    auto const lock = file_medium(here / "a", false).lock();
    std::array<std::uint64_t, 2> const words{1, 2};
    auto const all = std::as_bytes(std::span(words));
    for (std::uint64_t const offset : {4U, 2040U, 2048U, 4096U}) {
        CHECK(kind_of([&] { lock->write_page(offset, all); }) == errc::invalid_argument);
    }
    CHECK(kind_of([&] { lock->write_page(0, all.first(7)); }) == errc::invalid_argument);
    CHECK_FALSE(kind_of([&] { lock->write_page(2032, all); }));
    CHECK_FALSE(kind_of([&] { lock->write_page(2048, {}); }));
}

TEST_CASE("a handle that goes while it has the lock gives it back") {
    workbench::folder const here;
    auto const other = file_medium(here / "a", false).lock();
    {
        auto const lock = file_medium(here / "a", false).lock();
        REQUIRE(lock->acquire({}));
    }
    CHECK(other->acquire(clock::now()));
    other->release();
}

TEST_CASE("the last handle closes every descriptor, and none is inherited by another program") {
    workbench::folder const here;
    { auto const warm_up = file_medium(here / "w", false).lock(); }
    auto const before = open_descriptors();
    {
        auto const lock = file_medium(here / "a", false).lock();
        auto const reader = file_medium(here / "a", false).reader_lock();
        for (auto const& each : fs::directory_iterator("/proc/self/fd")) {
            std::error_code gone;
            auto const target = fs::read_symlink(each, gone).string();
            if (target.rfind(here.path().string(), 0) != 0) continue;
            auto const number = std::stoi(each.path().filename().string());
            CHECK((::fcntl(number, F_GETFD) & FD_CLOEXEC) != 0);
        }
    }
    CHECK(open_descriptors() == before);
}
