# SPDX-License-Identifier: BSL-1.0
"""The bugs that plant.py plants: each a name, what it breaks, and replacements (header, old, new).

The old text occurs exactly once in its header, else the table is out of date and says so. Where a
bug shows in one history of very many, the table has its SEED:INDEX.
"""

S = "store/"


def bug(name, story, *edits, history=""):
    return {"name": name, "story": story, "edits": edits, "history": history}


def plant(bug, path_of):
    """Plants a bug into copies; `path_of` says where. Returns what is wrong with the table."""
    for name, old, new in bug["edits"]:
        path = path_of(name)
        text = path.read_text()
        if text.count(old) != 1:
            return f"{bug['name']}: found {text.count(old)} times in {name}: {old!r}"
        path.write_text(text.replace(old, new))
    return ""


PROTOCOL = [
    bug("one_block", "A3, C4, H3: both slots in one block",
        ("format/superblock.hpp", "return block_bytes * (1U + slot);",
         "return block_bytes + 512U * slot;")),
    bug("trust_cache", "A4, D: the next writer takes what it reads for durable",
        (S + "takeover.hpp", "    plan.must_sync = true;\n    if (page_of_other_boot)",
         "    plan.marked = true;\n    return plan;\n    if (page_of_other_boot)")),
    bug("sync_only", "E2, E6, E9: a take-over syncs and does not write again",
        (S + "takeover.hpp", "plan.rewrite = !of_earlier_boot(newest, boot_id);",
         "plan.rewrite = false;")),
    bug("no_range_checksum", "B: a slot vouches for bytes that nobody sums",
        (S + "recovery.hpp", "if (sum != record->data_checksum) return {};",
         "static_cast<void>(sum);")),
    bug("no_zeroing", "C, G5, N1: a rejected slot stays",
        (S + "takeover.hpp", "plan.zero[i] = true;", "plan.zero[i] = false;")),
    bug("zeroing_not_synced", "C: a rejected slot is zeroed in the cache alone",
        (S + "tenure.hpp", "if (plan_.must_sync) file_.storage->sync();",
         "if (plan_.must_sync && plan_.rewrite) file_.storage->sync();")),
    bug("zeros_believed", "C: zeros whose sync failed are believed",
        (S + "takeover.hpp", "plan.zero[other] = true;", "plan.zero[other] = false;")),
    bug("sync_retried", "E: a sync that failed is tried again",
        (S + "slot_keeper.hpp", "            storage_->sync();\n",
         "            try {\n                storage_->sync();\n            } "
         "catch (error const&) {\n                storage_->sync();\n            }\n")),
    bug("not_poisoned", "E5: a failed sync does not end writing",
        (S + "tenure.hpp", "owner_->lock()->poison();", "static_cast<void>(0);")),
    bug("slots_alternate", "F: lazy commits alternate slots",
        (S + "slot_keeper.hpp", "auto const index = 1U - durable_index_;",
         "auto const index = 1U - newest_index_;")),
    bug("own_range", "F2: the range of a slot is that of its transaction alone",
        (S + "tenure.hpp", "slot.verify_from = synced_end;",
         "slot.verify_from = state.record().begin_offset;")),
    bug("padding_begins_anywhere", "H: the first padded commit begins within a block",
        (S + "tenure.hpp", "auto const over = owner_->chosen().pad_commits ? "
         "end_offset % format::block_bytes : 0;", "std::uint64_t const over = 0;")),
    bug("padding_beside_none", "H: a writer that pads takes what was not padded for verified",
        (S + "takeover.hpp", "plan.must_sync = pads && i != found.index;",
         "plan.must_sync = false;")),
    bug("end_filled_up", "R4: the end that is moved is made whole within a durable block",
        (S + "slot_keeper.hpp", "storage_->size()) / 8 * 8;",
         "storage_->size());\n"
         "        for (; slot.end_offset % 8 != 0; ++slot.end_offset) {\n"
         "            storage_->write(slot.end_offset, std::vector<std::byte>(1));\n"
         "        }")),
    bug("padding_not_verified", "H: a take-over of padded commits writes from within a block",
        (S + "tenure.hpp", "auto const synced_end = behind(slots_.synced_end());",
         "auto const synced_end = slots_.synced_end();")),
    bug("running_end", "S2: verify_from is where the last append ended",
        (S + "tenure.hpp", "auto const synced_end = behind(slots_.synced_end());",
         "auto const synced_end = behind(slots_.newest().end_offset);")),
    bug("verify_from_falls", "S2: a lazy slot has less vouched for than the one before it",
        (S + "slot_keeper.hpp", "return std::max(durable_.end_offset, newest_.verify_from);",
         "return durable_.end_offset;"), history="31337:14060"),
    bug("mark_cleared", "S3: a take-over forgets which slot is durable",
        (S + "tenure.hpp", "    slots_.write_page(true);\n    critical([&] {",
         "    slots_.forget_mark(plan_.marked);\n"
         "    slots_.write_page(true);\n    critical([&] {"),
        (S + "slot_keeper.hpp", "    /// Forgets the slots",
         "    void forget_mark(bool keep) {\n        if (!keep) page_.mark_counter = 0;\n    }\n"
         "    /// Forgets the slots")),
    bug("lone_slot_rewritten", "S3: the only slot of a file is written over",
        (S + "takeover.hpp", "if (found.slots.slots[other].state == slot_state::empty) {",
         "if (false) {"),
        (S + "store.hpp", "        slots.mark_durable();\n        slots.write_page(false);\n",
         "")),
    bug("mark_not_stored", "S4: acknowledged before the mark is stored",
        (S + "slot_keeper.hpp", "        page_.mark_counter = durable_.counter;\n",
         "        page_.mark_counter = 0;\n")),
    bug("mark_before_sync", "S4: the mark is stored before the sync",
        (S + "slot_keeper.hpp", "            storage_->sync();\n        }\n",
         "            durable_ = newest_;\n            durable_index_ = newest_index_;\n"
         "            mark_durable();\n            storage_->sync();\n        }\n")),
    bug("no_name_sync", "S8: the successor of a killed compactor does not sync the name",
        (S + "tenure.hpp", "            medium.sync_name();\n            slots_.set_name_synced",
         "            slots_.set_name_synced")),
    bug("busy_ignored", "R6: a writer that died busy is taken for an idle one",
        (S + "takeover.hpp", "if (page->busy && i != found.index) break;", ""),
        (S + "examined.hpp", "page && !page->busy, owner.path()",
         "page.has_value(), owner.path()")),
    bug("last_look_believed", "R6, R7: what others have written since is not looked at",
        (S + "last_tenure.hpp", "owner_changes_ == lock.owner_changes() &&", "true ||")),
    bug("boot_ignored", "a live page of another boot is believed",
        (S + "store.hpp", "page->boot_id == lock_->identity().boot_id && page->uuid",
         "page->uuid")),
    bug("earlier_boot_rewritten", "what was read from the device is written over",
        (S + "takeover.hpp", "plan.rewrite = !of_earlier_boot(newest, boot_id);",
         "plan.rewrite = true;")),
]

CODE = [
    bug("slot_first", "the slot is written before the data",
        (S + "writer.hpp", "    to.flush();\n    return file().state(", "    return file().state("),
        (S + "writer.hpp", "    tenure_->append(state, how);\n",
         "    tenure_->append(state, how);\n"
         "    tenure_->settle(state->record().commit_id, how);\n    to.flush();\n")),
    bug("wrong_slot", "the durable slot is written over",
        (S + "slot_keeper.hpp", "auto const index = 1U - durable_index_;",
         "auto const index = durable_index_;")),
    bug("no_sync", "a durable commit is not synced",
        (S + "tenure.hpp", "if (what.to_sync) slots_.sync(guard);",
         "if (what.unsummed) slots_.sync(guard);")),
    bug("one_sync_of_two", "two_sync leaves its first sync out",
        (S + "tenure.hpp", "            slots_.sync(guard);\n"
         "            slot.verify_from = slot.end_offset;",
         "            slot.verify_from = slot.end_offset;")),
    bug("slot_after_sync", "the sync comes before the slot",
        (S + "tenure.hpp", "        slots_.write_slot(slot);\n    }\n"
         "    if (what.to_sync) slots_.sync(guard);",
         "        if (what.to_sync) slots_.sync(guard);\n        slots_.write_slot(slot);\n    }")),
    bug("no_identity_check", "nobody looks whether the path still is this file",
        (S + "examined.hpp", "        result.file = owner.reopen(storage::access::read_write);\n",
         "")),
    bug("fresh_not_synced", "a fresh file gets its name before it is durable",
        (S + "opened_file.hpp", "    storage.sync();\n    return slot;", "    return slot;")),
    bug("name_never_synced", "a compaction does not make its name durable",
        (S + "tenure.hpp", "        owner_->medium().sync_name();\n        slots_.move_to",
         "        slots_.move_to")),
    bug("size_not_covered", "a slot may name an end behind the file",
        (S + "recovery.hpp", "    if (slot.end_offset > storage.size()) return {};\n", ""),
        (S + "recovery.hpp", "if (sum != record->data_checksum) return {};",
         "if (sum && sum != record->data_checksum) return {};"),
        (S + "recovery.hpp", "        record = read_record(storage, record->previous);\n"
         "        if (!record) return {};", "        record = read_record(storage, "
         "record->previous);\n        if (!record) return newest;")),
    bug("wrong_range", "the checksum of a transaction leaves its first bytes out",
        (S + "recovery.hpp", "range_checksum(storage, record->begin_offset, record_offset)",
         "range_checksum(storage, std::min(record->begin_offset + 64, record_offset), "
         "record_offset)"),
        (S + "writer.hpp", "format::checksum(to.buffered())",
         "format::checksum(to.buffered().subspan(std::min<std::size_t>(64, "
         "to.buffered().size())))")),
    bug("torn_slot_mended", "a slot with a bad checksum is taken all the same",
        ("format/superblock.hpp", "slot.checksum != checksum(image.first(120))", "false")),
    bug("equal_counters", "the counter of slots does not grow",
        (S + "slot_keeper.hpp", "slot.counter = last_counter_ + 1;",
         "slot.counter = last_counter_;"),
        (S + "slot_keeper.hpp", "COPPICE_ASSERT(slot.counter > last_counter_ &&",
         "COPPICE_ASSERT(slot.counter >= last_counter_ &&")),
    bug("chain_not_followed", "only the newest transaction is summed",
        (S + "recovery.hpp", "        record_offset = record->previous.offset;\n"
         "        if (record_offset < slot.verify_from) break;",
         "        break;")),
    bug("oldest_slot", "the older slot is preferred",
        (S + "recovery.hpp", "slots[0].slot.counter > slots[1].slot.counter ? 0U : 1U",
         "slots[0].slot.counter < slots[1].slot.counter ? 0U : 1U")),
    bug("no_fallback", "the other slot is not tried",
        (S + "recovery.hpp", "auto const has_other = result.slots.good(other) && "
         "!result.rejected[other];", "auto const has_other = false;")),
    bug("limit_without_sync", "a commit beyond the unsynced limit claims what was not synced",
        (S + "tenure.hpp", "what.unsummed || slot.end_offset - synced_end > "
         "unsynced_limit", "what.unsummed"),
        (S + "tenure.hpp", "            slot.verify_from = synced_end;",
         "        slot.verify_from = slot.end_offset - synced_end > unsynced_limit\n"
         "                               ? slot.end_offset\n"
         "                               : synced_end;")),
    bug("no_reread", "a writer goes on from what its handle saw last",
        (S + "examined.hpp", "if (newest->at() != record_of(slot) || "
         "newest->image().identity != file.image->identity) {", "if (false) {")),
    bug("visible_too_early", "readers are shown a commit before its sync",
        (S + "tenure.hpp", "    if (what.to_sync) slots_.sync(guard);",
         "    slots_.set_visible(store_type::visible_of(state));\n"
         "    slots_.write_page(true);\n    if (what.to_sync) slots_.sync(guard);")),
    bug("sync_tells_nobody", "sync() does not tell readers",
        (S + "tenure.hpp", "    slots_.show(store_type::visible_of(*newest_));\n", "")),
    bug("trim_too_much", "closing cuts off the last transaction",
        (S + "slot_keeper.hpp", "if (storage_->size() > end_offset) "
         "storage_->truncate(end_offset);",
         "if (storage_->size() > end_offset - 8) storage_->truncate(end_offset - 8);")),
    bug("extent_skipped", "compaction leaves a value where it was",
        (S + "fresh_copy.hpp", "to_.add_extent(from_.value(stored)).encode(reference_.data());",
         "stored.extent().encode(reference_.data());")),
    bug("lost_is_followed", "a compaction catches up with a commit that a failed sync has lost",
        (S + "compact.hpp", "        session->within().prepare_to_sync();\n", "")),
    bug("last_commits_left_out", "a compaction does not catch up under the lock",
        (S + "compact.hpp", "        move_to(newest, {});\n", "")),
    bug("rounds_from_the_first", "every round compares with the state that was copied first",
        (S + "fresh_copy.hpp", "        state_ = next;\n", "")),
    bug("names_not_kept", "a compaction drops commits that have a name",
        (S + "retention.hpp", "if (each.commit >= first_id) kept.push_back(each.commit);", "")),
    bug("stood_at_forgotten", "a commit at which the copy stood while it got its name is dropped",
        (S + "compact.hpp", "if (id != number(*copy_->state())) copy_->catch_up(next, hooks);",
         "if (id == number(*copy_->state())) continue;\n"
         "            copy_->catch_up(next, hooks);")),
    bug("kept_elsewhere", "a kept commit names its tree where it lay in the old file",
        (S + "fresh_copy.hpp", "        record.user = user_;\n        record.system = system_;\n"
         "        record.kept", "        record.system = system_;\n        record.kept")),
    bug("kept_record_overwritten", "what follows a kept commit is written over its record",
        (S + "fresh_copy.hpp", "        end_offset_ += image.size();\n", "")),
    bug("tag_lost", "the system tree of a commit is that of the one before it",
        (S + "next_record.hpp", "record.system = trees.system;",
         "record.system = before.system;")),
    bug("tag_not_synced", "a durable tag is not synced",
        (S + "tagging.hpp", "return session.commit({base->user(), system}, how, {});",
         "return session.commit({base->user(), system}, durability::lazy, {});")),
    bug("name_without_lock", "a compaction lets the lock go before it takes the name",
        (S + "compact.hpp", "        owner_->medium().replace(*fresh_);\n",
         "        owner_->lock()->release();\n        owner_->medium().replace(*fresh_);\n")),
    bug("living_companion_removed", "a writer removes the file of a compaction that lives",
        (S + "leftover.hpp", "if (held.is_held()) static_cast<void>(medium.discard_fresh());",
         "static_cast<void>(held.is_held());\n        static_cast<void>(medium.discard_fresh());")),
    bug("two_compactions", "two processes compact at once",
        (S + "compact.hpp", "    if (!held.is_held()) return {};\n", "")),
    bug("lost_entry", "a leaf that is cut loses its last entry",
        ("tree/builder.hpp", "        leaf_.drop_front(count);\n        push(1,",
         "        leaf_.drop_front(count < leaf_.count() ? count + 1 : count);\n        push(1,")),
    bug("count_not_updated", "the total of an inner node forgets a child",
        ("tree/builder.hpp", "            whole.entries += item.child.entries;\n",
         "            whole.entries = item.child.entries;\n")),
    # A leaf of 128 bytes is hardly ever less than a quarter full, so leaves merge at a half here.
    bug("lost_merge", "the parts of an opened leaf are dropped",
        ("tree/builder.hpp", "leaf_.node_bytes() < leaf_limit_ / 4",
         "leaf_.node_bytes() < leaf_limit_ / 2"),
        ("tree/builder.hpp", "return add_entries(leaf, 0, leaf.count());",
         "return add_entries(leaf, 0, 1);")),
    bug("short_way_drops", "the short way drops the entry that a new one comes before",
        ("tree/changed_node.hpp", "at += change.replaces ? 1U : 0U;", "++at;")),
    bug("edit_skipped", "an edit of the last key of a leaf is not made",
        ("tree/apply.hpp", "            add_edit();\n        }\n        builder_.add_entries(",
         "            if (found && next == leaf.count()) {\n"
         "                edits_.next();\n            } else {\n"
         "                add_edit();\n            }\n        }\n        builder_.add_entries("),
        ("tree/apply.hpp", "            leaf_.edit(edits_.key(), edits_.value());\n",
         "            if (edits_.key() != leaf.key(leaf.count() - 1)) {\n"
         "                leaf_.edit(edits_.key(), edits_.value());\n            }\n")),
    bug("group_begins_behind", "a transaction begins from what is settled, not what is appended",
        (S + "writer.hpp", "base_ = within().newest();", "base_ = owner_->shown();")),
    bug("group_acknowledged_early", "a commit is durable when a slot names it",
        (S + "tenure.hpp", "shown_id_ : slots_.durable().commit_id",
         "shown_id_ : slots_.newest().commit_id")),
    bug("group_forgets_promises", "a lazy leader does not sync for those it settles with its own",
        (S + "tenure.hpp", "appended_.to_sync || how != durability::lazy", "false")),
    bug("group_unsummed", "a leader claims bytes without a sum that were not synced",
        (S + "tenure.hpp", "appended_.unsummed || how == durability::two_sync",
         "how == durability::two_sync")),
    bug("group_overwritten", "the next transaction's bytes begin where the settled ones end",
        (S + "tenure.hpp", "    append_offset_ = behind(state->limit_offset());\n",
         "    append_offset_ = behind(slots_.newest().end_offset);\n")),
]

DEFERRED = [
    bug("deferred_not_synced", "sync() leaves out what is deferred",
        (S + "writer.hpp", "        append_deferred(durability::sync);\n        within().sync();",
         "        within().sync();"),
        (S + "tenure.hpp", "    COPPICE_ASSERT(deferred_.empty());\n", "")),
    bug("deferred_older_tree", "a flush writes an older tree",
        (S + "writer.hpp", "    base_ = append_transaction(newest->record(), how);",
         "    auto record = newest->record();\n    record.user = tenure_->written()->user();\n"
         "    base_ = append_transaction(std::move(record), how);")),
    bug("deferred_unlocked", "the lock is given back while something is deferred",
        (S + "writer.hpp", "    kept.keep(tenure_, interval.count() == 0 ? "
         "std::this_thread::get_id() : std::thread::id());\n", "")),
    bug("deferred_id_twice", "two deferred commits have one id",
        (S + "tenure.hpp", "return ++last_id_;", "return last_id_ + 1;")),
    bug("deferred_begins_behind", "a transaction begins from what is written, not what is deferred",
        (S + "writer.hpp", "base_ = within().newest();", "base_ = tenure_->written();")),
    bug("deferred_twice", "what a commit has taken along is flushed once more",
        (S + "tenure.hpp", "    deferred_.clear();\n", "")),
    bug("deferred_lost_in_closing", "closing a handle does not write what is deferred",
        (S + "writer.hpp", "        session->flush();\n        may_lose = false;\n", "")),
    bug("postponed_left_out", "what nobody has looked at is not flushed",
        (S + "tenure.hpp", "        see(owner_->take_postponed());\n", "")),
    bug("postponed_older_wins", "of two postponed edits of a key the first one stands",
        ("tree/edit_log.hpp", "a.number > b.number;", "a.number < b.number;")),
    bug("early_one_sync", "a commit whose bytes went to the file early takes one sync",
        (S + "writer.hpp", "if (to.spilled() || (is_large", "if ((is_large")),
    bug("get_finds_older", "of two postponed edits of a key a get finds the first one",
        ("tree/edit_log.hpp", "place_of(next.head, next.key) = static_cast<place>(indexed_ + 1);",
         "auto& at = place_of(next.head, next.key);\n"
         "            if (at == 0) at = static_cast<place>(indexed_ + 1);")),
    bug("erased_found_below", "a key that a postponed commit erased is found below it",
        (S + "postponed.hpp", "case tree::edit_map::pending::erased: return {};",
         "case tree::edit_map::pending::erased: break;")),
    bug("postponed_over_nodes", "edits are postponed though others of them became nodes",
        ("transaction/state.hpp", "auto const is_edits_alone = !work_ ||",
         "auto const is_edits_alone = true || !work_ ||")),
]

PATCHES = [
    bug("patched_value_unnoticed", "a patch leaves out a value that is as long as the old one",
        ("tree/patcher.hpp", "base.value(at).raw == item->value.raw &&",
         "base.value(at).raw.size() == item->value.raw.size() &&"),
        ("tree/changed_node.hpp", "a.raw == b.raw &&", "a.raw.size() == b.raw.size() &&")),
    bug("patched_erase_ignored", "an entry that a patch erases is met by who walks over the leaf",
        ("format/leaf_patch.hpp", "        if (change.erased(k)) continue;\n", "")),
    bug("patched_root_forgotten", "a record does not name the patch of the root",
        ("format/commit_record.hpp", "auto const patched = !record.user.root.patch.is_null();",
         "auto const patched = false;")),
    bug("patched_base_twice", "a node that was cut is the base of a patch as well",
        ("tree/patcher.hpp", "replaced_[level].node = {};", "static_cast<void>(level);"),
        ("tree/patcher.hpp", "auto old = std::exchange(replaced_[level], {});",
         "auto old = replaced_[level];")),
    bug("patched_totals_old", "a patched child counts as its base did",
        ("format/inner_walk.hpp", "        child_.entries = patch.entries(change_);\n",
         "        if (!is_patch(change_)) child_.entries = patch.entries(change_);\n")),
]

ALL = PROTOCOL + CODE + DEFERRED + PATCHES
