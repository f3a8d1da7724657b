// SPDX-License-Identifier: BSL-1.0
// tools/coppice/verbs/dumping.cpp: dump, load.
// Invariant: a load is one transaction, and reads the header before it opens the database.

#include "tools/coppice/dump_format.hpp"
#include "tools/coppice/dump_loader.hpp"
#include "tools/coppice/output.hpp"
#include "tools/coppice/progress.hpp"
#include "tools/coppice/verbs.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace tool {

namespace {

/// The pairs of a dump that are to be put, with a bar of progress.
class dump_pairs {
  public:
    /// @param kept keys in it keep their values
    dump_pairs(arguments const& given, line_source& lines, dump_reader& reader,
               std::optional<coppice::snapshot> kept)
        : lines_(lines), reader_(reader), kept_(std::move(kept)), bar_("loading") {
        std::error_code no_file;
        auto const size_bytes = std::filesystem::file_size(given.input, no_file);
        if (!no_file) size_bytes_ = size_bytes;
    }

    [[nodiscard]] bool next(dump_pair& pair) {
        while (reader_.next(pair)) {
            bar_.show(lines_.bytes(), size_bytes_);
            if (!kept_ || !kept_->contains(pair.key)) return true;
        }
        return false;
    }

  private:
    line_source& lines_;
    dump_reader& reader_;
    std::optional<coppice::snapshot> kept_;
    progress bar_;
    std::uint64_t size_bytes_ = 0;
};

} // namespace

exit_code dump(arguments const& given) {
    auto const db = open_to_read(given);
    auto const now = moment(db, given);
    output out(given.output);
    progress bar("dumping");
    std::uint64_t done = 0;
    // LMDB needs whole pages, half full at worst.
    auto const room = db.stats().valid_bytes * 4 + (std::uint64_t{16} << 20U);
    write_dump_header(out, given.print, given.for_lmdb ? room & ~std::uint64_t{4095} : 0);
    auto at = now.cursor();
    for (at.first(); at.valid(); at.next()) {
        write_dump_line(out, at.key(), given.print);
        write_dump_line(out, at.value(), given.print);
        bar.show(++done, now.size());
    }
    write_dump_footer(out);
    out.finish();
    return exit_code::done;
}

exit_code load(arguments const& given) {
    line_source lines(given.input);
    dump_reader reader(lines);
    auto db = open_to_write(given, coppice::create::if_missing);
    auto txn = begin(db, given);
    auto kept = given.no_overwrite ? std::optional(txn.view()) : std::nullopt;
    dump_pairs pairs(given, lines, reader, std::move(kept));
    load_pairs(txn, pairs, !given.no_overwrite);
    txn.commit(given.durability, given.note);
    return exit_code::done;
}

} // namespace tool
