// SPDX-License-Identifier: BSL-1.0
#pragma once
// tests/tool/tool_bench.hpp: the built tool and a folder for its files.
// Owns: a temporary folder, removed at the end.

#include <run_process.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

/// Runs the tool in its own folder.
class tool_bench {
  public:
    tool_bench() {
        auto name = (std::filesystem::temp_directory_path() / "coppice.XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
        folder_ = name;
    }
    tool_bench(tool_bench const&) = delete;
    tool_bench& operator=(tool_bench const&) = delete;
    ~tool_bench() {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    /// A path in the folder.
    [[nodiscard]] std::string path(std::string const& name) const { return folder_ / name; }
    /// The path of the database of most tests.
    [[nodiscard]] std::string db() const { return path("test.db"); }

    /// Runs a verb on the database.
    support::process_result on_db(std::string const& verb,
                                  std::vector<std::string> const& more = {},
                                  std::string_view input = {}) const {
        std::vector<std::string> words = {verb, db()};
        words.insert(words.end(), more.begin(), more.end());
        return run(words, input);
    }
    /// Runs the tool with just these arguments.
    static support::process_result run(std::vector<std::string> const& words,
                                       std::string_view input = {}) {
        std::vector<std::string> all = {COPPICE_TEST_TOOL};
        all.insert(all.end(), words.begin(), words.end());
        return support::run_process(std::move(all), input);
    }
    /// Runs a shell command in which $0 is the tool and $1 the database.
    support::process_result shell(std::string const& command) const {
        return support::run_process({"sh", "-c", command, COPPICE_TEST_TOOL, db()});
    }

    [[nodiscard]] std::string content(std::string const& name) const {
        std::ifstream file(path(name), std::ios::binary);
        std::ostringstream text;
        text << file.rdbuf();
        return text.str();
    }
    void write(std::string const& name, std::string_view text) const {
        std::ofstream(path(name), std::ios::binary) << text;
    }

    /// Makes the database from a few pairs, one commit for each.
    void fill(std::vector<std::pair<std::string, std::string>> const& pairs) const {
        for (auto const& [key, value] : pairs) {
            auto const put = on_db("put", {"--durability", "two_sync", "--", key, value});
            if (put.exit_code != 0) throw std::runtime_error(put.err);
        }
    }

  private:
    std::filesystem::path folder_;
};

inline std::string const fruits_dump = "VERSION=3\nformat=bytevalue\ntype=btree\nHEADER=END\n"
                                       " 6170706c65\n 726564\n"
                                       " 706c756d\n 626c7565\n"
                                       "DATA=END\n";
