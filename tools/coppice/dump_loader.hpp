// SPDX-License-Identifier: BSL-1.0
#pragma once
// tools/coppice/dump_loader.hpp: from the pairs of a dump to a transaction.
// Owns: the change from a bulk load to single puts.
// Invariant: pairs go straight to the file while their keys ascend; from the first other one on
//   they are ordinary puts. Whatever the order, of two values of a key the later one counts, or
//   the earlier one where nothing is to be overwritten.

#include "tools/coppice/dump_format.hpp"

#include <cstddef>
#include <iterator>
#include <string>

namespace tool {

/// The pairs from the first one on for as long as their keys ascend. An input range.
template <typename Source> class ascending_run {
  public:
    class iterator {
      public:
        using iterator_concept = std::input_iterator_tag;
        using value_type = dump_pair;
        using difference_type = std::ptrdiff_t;

        iterator() = default;
        explicit iterator(ascending_run& run) noexcept : run_(&run) {}

        [[nodiscard]] dump_pair const& operator*() const noexcept { return run_->pair_; }
        iterator& operator++() {
            run_->advance();
            return *this;
        }
        void operator++(int) { ++*this; }
        [[nodiscard]] bool operator==(std::default_sentinel_t) const noexcept {
            return run_->ended_ || run_->descended_;
        }

      private:
        ascending_run* run_ = nullptr;
    };

    explicit ascending_run(Source& from) : from_(from) { ended_ = !from_.next(pair_); }

    [[nodiscard]] iterator begin() { return iterator(*this); }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

    /// The first pair behind the run, if it is not the end of the dump.
    [[nodiscard]] dump_pair* rest() noexcept { return descended_ ? &pair_ : nullptr; }

  private:
    void advance() {
        previous_key_ = pair_.key;
        ended_ = !from_.next(pair_);
        descended_ = !ended_ && pair_.key <= previous_key_;
    }

    Source& from_;
    dump_pair pair_;
    std::string previous_key_;
    bool ended_ = false;
    bool descended_ = false;
};

/// Puts all pairs of `Source`, which has `bool next(dump_pair&)`.
/// @param overwrite else a key that is there keeps its value
template <typename Transaction, typename Source>
void load_pairs(Transaction& txn, Source& pairs, bool overwrite) {
    ascending_run run(pairs);
    txn.load(run);
    auto* const pair = run.rest();
    if (pair == nullptr) return;
    do {
        if (overwrite) {
            txn.put(pair->key, pair->value);
        } else {
            txn.insert(pair->key, pair->value);
        }
    } while (pairs.next(*pair));
}

} // namespace tool
