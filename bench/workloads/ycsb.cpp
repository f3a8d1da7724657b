// SPDX-License-Identifier: BSL-1.0
// bench/workloads/ycsb.cpp: W14, YCSB A, B, C and E: one thread, one operation a transaction, no
// sync; records chosen by a scrambled zipfian of 0.99. Deferred once more, where an engine can.

#include "bench/workloads/steps.hpp"
#include "bench/workloads/workloads.hpp"
#include "bench/workloads/zipfian.hpp"

#include <array>
#include <random>

namespace bench {

namespace {

/// Shares of operations, in percent; the rest are gets.
struct mix {
    std::string_view name;
    unsigned updates = 0;
    unsigned inserts = 0;
    unsigned scans = 0;
};

constexpr std::array<mix, 4> mixes = {{
    {"W14 YCSB-C", 0, 0, 0},
    {"W14 YCSB-B", 5, 0, 0},
    {"W14 YCSB-A", 50, 0, 0},
    {"W14 YCSB-E", 0, 5, 95},
}};

/// Does operations, one a transaction.
class client {
  public:
    client(engine& store, data_set const& data, std::size_t inserts, durability how)
        : from_(store.make_reader()),
          to_(store.make_writer()),
          data_(data),
          choose_(data.pairs.size(), 0.99),
          fresh_(inserts, 71),
          how_(how) {}

    void one(mix const& of) {
        auto const draw = random_() % 100;
        if (draw < of.updates) return update();
        if (draw < of.updates + of.inserts) return insert();
        if (draw < of.updates + of.inserts + of.scans) return scan();
        get();
    }

  private:
    [[nodiscard]] std::string_view choose() { return data_.pairs[choose_(random_)].first; }
    void get() {
        wanted_ = choose();
        from_->get_newest(wanted_, verify_);
    }
    void scan() {
        from_->refresh();
        auto const length = 1 + random_() % 100;
        auto const sum = from_->scan_from(choose(), length);
        verify(sum.count > 0 && sum.count <= length && sum.ordered, "a scan of YCSB");
    }
    void update() { put(choose(), ++version_); }
    void insert() {
        put(fresh_.keys()[inserted_ % fresh_.keys().size()], 0);
        ++inserted_;
    }
    void put(std::string_view key, std::uint64_t version) {
        to_->begin(how_);
        to_->put(key, values_.make(key, version));
        to_->commit();
    }

    std::unique_ptr<reader> from_;
    std::unique_ptr<writer> to_;
    data_set const& data_;
    zipfian choose_;
    key_list fresh_;
    durability how_;
    value_source values_;
    std::mt19937_64 random_{72};
    std::uint64_t version_ = 0;
    std::size_t inserted_ = 0;
    std::string_view wanted_;
    visitor verify_ = [this](std::optional<std::string_view> value) {
        verify(value && value_source::version_of(wanted_, *value) <= version_, "a get of YCSB");
    };
};

/// @return has the engine deferred commits?
bool run_mixes(task const& of, data_set const& data, durability how) {
    auto const operations = std::max<std::size_t>(100, of.pairs / 5);
    auto const store = of.open(data.bytes());
    store->bulk_load(data.pairs);
    static_cast<void>(store->make_reader()->scan());
    client user(*store, data, operations, how);
    for (auto const& mix : mixes) {
        stopwatch const time;
        for (std::size_t i = 0; i < operations; ++i) user.one(mix);
        of.out.rate("W14", std::string(mix.name) + mark_of(how), "/s",
                    static_cast<double>(operations), time.seconds());
    }
    return store->defers();
}

} // namespace

void run_ycsb(task& of) {
    auto const data = random_data(std::max<std::size_t>(2, of.pairs), 11);
    auto const defers = run_mixes(of, data, durability::no_sync);
    if (defers) run_mixes(of.beside("deferred"), data, durability::deferred);
}

} // namespace bench
