// SPDX-License-Identifier: BSL-1.0
// Writes one key to the database named on the command line; b.cpp reads it.
#include <coppice/coppice.hpp>

#include <iostream>
#include <string>

std::string read_back(coppice::database& db);

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    coppice::database db{argv[1]};
    auto transaction = db.write();
    transaction.put("k", "v");
    transaction.commit();
    if (read_back(db) != "v") return 1;
    std::cout << "ok\n";
}
