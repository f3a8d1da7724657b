// SPDX-License-Identifier: BSL-1.0
// examples/package_index.cpp: the packages of a Debian machine in one coppice file.
//   package_index load FILE     reads stanzas from stdin, 500 packages a commit
//   package_index ask FILE      answers questions with the indexes
//   package_index churn FILE    commits one number after another until it is killed
//   package_index               a small run of all that in a folder of its own
// Invariant: a package and all its index entries change in one transaction, so they always agree.

#include <coppice/coppice.hpp>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

// ---- stanzas -----------------------------------------------------------------------------------

/// The next stanza of a stream: lines up to an empty one. @return false at the end
bool read_stanza(std::istream& from, std::string& stanza) {
    stanza.clear();
    for (std::string line; std::getline(from, line);) {
        if (!line.empty()) {
            stanza += line + '\n';
        } else if (!stanza.empty()) {
            return true;
        }
    }
    return !stanza.empty();
}

/// A field of a stanza, with its continuation lines; empty where it is missing.
std::string field(std::string_view stanza, std::string_view name) {
    std::string const head = std::string(name) + ": ";
    std::size_t at = 0;
    while (!stanza.substr(at).starts_with(head)) {
        at = stanza.find('\n', at);
        if (at == std::string_view::npos || ++at == stanza.size()) return {};
    }
    auto const end_of_line = [&](std::size_t from) {
        return std::min(stanza.find('\n', from), stanza.size());
    };
    auto end = end_of_line(at);
    while (end + 1 < stanza.size() && stanza[end + 1] == ' ') end = end_of_line(end + 1);
    return std::string(stanza.substr(at + head.size(), end - at - head.size()));
}

/// The names in "libc6 (>= 2.34), awk | mawk, python3:any".
void add_names(std::string_view list, std::set<std::string>& to) {
    while (!list.empty()) {
        auto const end = std::min(list.find_first_of(",|"), list.size());
        auto const item = list.substr(0, end);
        auto const first = std::min(item.find_first_not_of(" \n"), item.size());
        auto const name = item.substr(first, item.find_first_of(" (:\n", first) - first);
        if (!name.empty()) to.emplace(name);
        list.remove_prefix(std::min(end + 1, list.size()));
    }
}

/// All keys under which a package is found, besides its own.
std::set<std::string> index_keys(std::string_view stanza) {
    auto const name = field(stanza, "Package");
    std::set<std::string> dependencies;
    add_names(field(stanza, "Depends"), dependencies);
    add_names(field(stanza, "Pre-Depends"), dependencies);
    std::set<std::string> keys;
    auto const add = [&](std::string key, std::string_view what) {
        keys.insert(key.append(what).append("/").append(name));
    };
    add("section/", field(stanza, "Section"));
    add("maintainer/", field(stanza, "Maintainer"));
    for (auto const& dependency : dependencies) add("depends/", dependency);
    return keys;
}

// ---- writing -----------------------------------------------------------------------------------

/// Puts a package in the place of what was known of it, with its index entries.
void put_package(coppice::transaction& txn, std::string_view stanza) {
    auto const key = "pkg/" + field(stanza, "Package");
    if (auto const before = txn.get(key)) {
        for (auto const& old_key : index_keys(*before)) txn.erase(old_key);
    }
    txn.put(key, stanza);
    for (auto const& new_key : index_keys(stanza)) txn.put(new_key, "");
}

/// Says it at once, so that whoever listens knows it even if this process is killed now.
void acknowledge(std::uint64_t what) { std::cout << "acknowledged " << what << '\n' << std::flush; }

std::uint64_t load(coppice::database& db, std::istream& from, std::uint64_t most) {
    constexpr std::uint64_t packages_in_a_commit = 500;
    std::uint64_t packages = 0;
    std::string stanza;
    for (auto more = true; more && packages < most;) {
        auto txn = db.write();
        auto const begun_at = packages;
        while (packages < most && packages - begun_at < packages_in_a_commit &&
               (more = read_stanza(from, stanza))) {
            put_package(txn, stanza);
            ++packages;
        }
        if (packages == begun_at) break;
        txn.commit({}, "packages up to number " + std::to_string(packages));
        acknowledge(packages);
    }
    return packages;
}

/// One commit after the other, each with its number in two places.
[[noreturn]] void churn(coppice::database& db) {
    for (;;) {
        auto txn = db.write();
        auto const before = txn.get("churn/number");
        auto const number = before ? std::stoull(std::string(*before)) + 1 : 1;
        auto digits = std::to_string(number);
        txn.put("churn/number", digits);
        txn.put("churn/item/" + digits.insert(0, 12 - digits.size(), '0'), "");
        txn.commit({}, "churn");
        acknowledge(number);
    }
}

// ---- asking ------------------------------------------------------------------------------------

/// What comes after the last slash of a key.
std::string_view name_in(std::string_view key) { return key.substr(key.rfind('/') + 1); }

/// The sections and their sizes: one seek and two ranks for each section, however large it is.
std::vector<std::pair<std::uint64_t, std::string>> sections(coppice::snapshot const& now) {
    std::vector<std::pair<std::uint64_t, std::string>> result;
    auto at = now.cursor();
    std::string prefix = "section/";
    for (at.seek(prefix); at.valid() && at.key().starts_with("section/"); at.seek(prefix)) {
        prefix = at.key().substr(0, at.key().rfind('/') + 1);
        result.emplace_back(now.count_prefix(prefix), prefix.substr(8, prefix.size() - 9));
        prefix.back() = '/' + 1; // behind all keys that begin with the section and a slash
    }
    std::ranges::sort(result, std::greater<>());
    return result;
}

void ask(coppice::snapshot const& now) {
    std::cout << "  packages: " << now.count_prefix("pkg/")
              << ", dependencies: " << now.count_prefix("depends/") << ", entries: " << now.size()
              << '\n';
    auto const all = sections(now);
    std::cout << "  the largest of " << all.size() << " sections:";
    for (std::size_t i = 0; i < std::min<std::size_t>(5, all.size()); ++i) {
        std::cout << ' ' << all[i].second << " (" << all[i].first << ')';
    }
    std::cout << "\n  " << now.count_prefix("depends/libc6/") << " packages need libc6:";
    int left = 5;
    for (auto const range = now.prefix("depends/libc6/"); auto const entry : range) {
        if (left-- == 0) break;
        std::cout << ' ' << name_in(entry.key);
    }
    auto const first = now.rank("pkg/");
    auto const packages = now.count_prefix("pkg/");
    if (packages == 0) throw std::runtime_error("there are no packages");
    auto const middle = now.nth(first + packages / 2);
    std::cout << "\n  number " << packages / 2 << " in the alphabet: " << name_in((*middle).key);
    std::cout << "\n  'dpkg' is number " << now.rank("pkg/dpkg") - first << '\n';
}

/// Throws unless every package has its index entries, and there are no others.
void verify(coppice::snapshot const& now) {
    std::uint64_t expected = 0;
    for (auto const range = now.prefix("pkg/"); auto const [key, stanza] : range) {
        auto const keys = index_keys(stanza);
        expected += keys.size();
        for (auto const& index_key : keys) {
            if (!now.contains(index_key)) throw std::runtime_error("missing: " + index_key);
        }
    }
    auto const found = now.count_prefix("section/") + now.count_prefix("maintainer/") +
                       now.count_prefix("depends/");
    if (found != expected) throw std::runtime_error("there are stray index entries");
    std::cout << "  all " << found << " index entries agree with the packages\n";
}

// ---- the small run -----------------------------------------------------------------------------

constexpr char const* sample = R"(Package: bash
Section: shells
Maintainer: The Maintainers of Bash
Pre-Depends: libc6 (>= 2.36), libtinfo6 (>= 6)
Depends: base-files (>= 2.1.12), debianutils (>= 5.6-0.1)

Package: dpkg
Section: admin
Maintainer: The Developers of Dpkg
Pre-Depends: libc6 (>= 2.34), libzstd1 (>= 1.5.2)
Depends: tar (>= 1.28-1)

Package: libc6
Section: libs
Maintainer: The Maintainers of the C Library
Depends: libgcc-s1
)";

class own_folder {
  public:
    own_folder() {
        auto name = (std::filesystem::temp_directory_path() / "package_index.XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
        path_ = name;
    }
    own_folder(own_folder const&) = delete;
    own_folder& operator=(own_folder const&) = delete;
    ~own_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] std::filesystem::path const& path() const noexcept { return path_; }

  private:
    std::filesystem::path path_;
};

void small_run() {
    own_folder const folder;
    coppice::database db(folder.path() / "packages.db");
    std::ifstream status("/var/lib/dpkg/status");
    std::istringstream text(sample);
    if (!status) std::cout << "This is no Debian machine; the packages are three made up ones.\n";
    load(db, status ? static_cast<std::istream&>(status) : text, 2000);
    auto const loaded = db.read();
    ask(loaded);
    verify(loaded);

    // A changed package leaves its old indexes, and the earlier commit still has it as it was.
    auto const now_what =
        "Package: dpkg\nSection: examples\nMaintainer: nobody\nDepends: coppice\n";
    db.update([&](coppice::transaction& txn) { put_package(txn, now_what); });
    verify(db.read());
    auto const earlier = db.read(loaded.id());
    if (db.get("pkg/dpkg") != now_what || earlier.get("pkg/dpkg") == now_what) {
        throw std::runtime_error("the history is wrong");
    }
    db.compact();
    verify(db.read());
    if (!db.check().clean()) throw std::runtime_error("the database is damaged");
}

} // namespace

int main(int argc, char** argv) {
    std::vector<std::string_view> const words(argv + 1, argv + argc);
    std::ios::sync_with_stdio(false);
    try {
        if (words.empty()) {
            small_run();
        } else if (words.size() == 2 && words[0] == "load") {
            coppice::database db(words[1]);
            load(db, std::cin, ~std::uint64_t{0});
        } else if (words.size() == 2 && words[0] == "churn") {
            coppice::database db(words[1]);
            churn(db);
        } else if (words.size() == 2 && words[0] == "ask") {
            coppice::database const db(words[1], {.read_only = true});
            auto const now = db.read();
            ask(now);
            verify(now);
        } else {
            std::cerr << "usage: package_index [load|ask|churn FILE]\n";
            return 2;
        }
        return 0;
    } catch (std::exception const& e) {
        std::cerr << "package_index: " << e.what() << '\n';
        return 1;
    }
}
