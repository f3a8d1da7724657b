// SPDX-License-Identifier: BSL-1.0
// bench/floors/containers.cpp: W2 and W5 to W8 on containers in memory, which promise nothing, and
// beside them on a coppice database in memory.

#include "bench/engines/engines.hpp"
#include "bench/measure.hpp"
#include "bench/workloads/steps.hpp"
#include "bench/workloads/workloads.hpp"

#include <array>
#include <cstring>
#include <map>
#include <vector>

#if COPPICE_BENCH_ABSL
#include <absl/container/btree_map.h>
#endif

namespace bench {

namespace {

using key = std::array<unsigned char, key_bytes>; // compared as the engines compare: unsigned
using value = std::array<char, value_bytes>;

[[nodiscard]] key key_of(std::string_view text) {
    key result{};
    std::memcpy(result.data(), text.data(), result.size());
    return result;
}
[[nodiscard]] value value_of(std::string_view text) {
    value result{};
    std::memcpy(result.data(), text.data(), result.size());
    return result;
}
[[nodiscard]] std::string_view text_of(key const& of) {
    return {reinterpret_cast<char const*>(of.data()), of.size()};
}
[[nodiscard]] std::string_view text_of(value const& of) { return {of.data(), of.size()}; }

/// A sorted array with binary search, as far as it is needed here.
class sorted_array {
  public:
    using value_type = std::pair<key, value>;
    using const_iterator = std::vector<value_type>::const_iterator;

    explicit sorted_array(data_set const& data) {
        records_.reserve(data.pairs.size());
        for (auto const& [k, v] : data.pairs) records_.emplace_back(key_of(k), value_of(v));
    }
    [[nodiscard]] const_iterator begin() const { return records_.begin(); }
    [[nodiscard]] const_iterator end() const { return records_.end(); }
    [[nodiscard]] const_iterator lower_bound(key const& wanted) const {
        return std::lower_bound(begin(), end(), wanted,
                                [](value_type const& a, key const& b) { return a.first < b; });
    }
    [[nodiscard]] const_iterator find(key const& wanted) const {
        auto const at = lower_bound(wanted);
        return at != end() && at->first == wanted ? at : end();
    }

  private:
    std::vector<value_type> records_;
};

/// Reads a container as an engine is read.
template <typename Container> class container_reader final : public reader {
  public:
    explicit container_reader(Container const& of) : of_(of) {}

    void refresh() override {}
    std::optional<std::string_view> get(std::string_view wanted) override {
        auto const at = of_.find(key_of(wanted));
        if (at == of_.end()) return {};
        return text_of(at->second);
    }
    totals scan() override {
        totals sum;
        for (auto const& [k, v] : of_) sum.add(text_of(k), text_of(v));
        return sum;
    }
    totals scan_from(std::string_view from, std::size_t count) override {
        totals sum;
        for (auto at = of_.lower_bound(key_of(from)); sum.count < count && at != of_.end(); ++at) {
            sum.add(text_of(at->first), text_of(at->second));
        }
        return sum;
    }

  private:
    Container const& of_;
};

void read_floor(task& of, std::string const& name, reader& from, data_set const& data) {
    auto const count = static_cast<double>(data.pairs.size());
    auto const seeks = std::max<std::size_t>(1, data.pairs.size() / 50);
    of.out.rate("floors", name + ": get", "/s", count, get_all(from, data));
    of.out.rate("floors", name + ": missing get", "/s", count,
                get_missing(from, data.pairs.size()));
    of.out.rate("floors", name + ": scan", "pairs/s", count, scan_all(from, data.expected()));
    of.out.rate("floors", name + ": seek + 100 next", "ranges/s", static_cast<double>(seeks),
                seek_all(from, data, seeks));
}

template <typename Container>
void read_container(task& of, std::string const& name, Container const& full,
                    data_set const& data) {
    container_reader from(full);
    read_floor(of, name, from, data);
}

/// coppice as a container: with snapshots, in transactions of 1000.
void run_coppice(task& of, data_set const& data) {
    std::string const name = "coppice in memory";
    auto const store = open_coppice_in_memory();
    auto const order = shuffled_places(data.pairs.size(), 21);
    {
        auto const to = store->make_writer();
        cpu_stopwatch const time;
        in_transactions(*to, order.size(), pairs_per_transaction, durability::no_sync,
                        [&](std::size_t i) {
                            auto const& [k, v] = data.pairs[order[i]];
                            to->put(k, v);
                        });
        of.out.rate("floors", name + ": random insert", "/s", static_cast<double>(order.size()),
                    time.seconds());
    }
    auto const from = store->make_reader();
    read_floor(of, name, *from, data);
    of.out.rate("floors", name + ": get 16 at once", "/s", static_cast<double>(data.pairs.size()),
                get_many(*from, data));
}

template <typename Map> void run_map(task& of, std::string const& name, data_set const& data) {
    Map map;
    auto const order = shuffled_places(data.pairs.size(), 21);
    cpu_stopwatch const time;
    for (auto const place : order) {
        auto const& [k, v] = data.pairs[place];
        map.emplace(key_of(k), value_of(v));
    }
    of.out.rate("floors", name + ": random insert", "/s", static_cast<double>(order.size()),
                time.seconds());
    read_container(of, name, map, data);
}

} // namespace

void run_containers(task& of) {
    auto const data = random_data(of.pairs, 11);
    run_map<std::map<key, value>>(of, "std::map", data);
#if COPPICE_BENCH_ABSL
    run_map<absl::btree_map<key, value>>(of, "absl::btree_map", data);
#endif
    read_container(of, "sorted array", sorted_array(data), data);
    run_coppice(of, data);
}

} // namespace bench
