// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/coppice.hpp: the umbrella. Include this one.
// Owns: nothing. Four nouns: database, snapshot, transaction, cursor.

#include <coppice/await.hpp>
#include <coppice/database.hpp>
#include <coppice/diff.hpp>
#include <coppice/feed.hpp>
#include <coppice/follower.hpp>
#include <coppice/salvage.hpp>
#include <coppice/version.hpp>
