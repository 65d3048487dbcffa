/// What a datom database answers to commands, whichever process has it open.
///
/// A request is a name with its version and a map of arguments. All take `:view`, a map that says
/// of which state is asked: `:as-of` and `:since` (a t or an instant), `:history` true; `:with`,
/// the forms of a transaction that is supposed to have been done.
#pragma once

#include "tributary/datom/database.hpp"

#include <filesystem>
#include <functional>
#include <string>

namespace tributary::cli {

/// What others may do with a database that this process has open.
enum class sharing {
    reads,     ///< this process is gone soon: who wants to write tries again then
    all,       ///< it stays, and writes for others
    realized,  ///< a realize stream writes it, and nobody else
};

/// How this process opens databases.
datom::connection_options& open_options();

/// Takes a part of an answer (nil: none yet); false if nobody wants more.
using emit_function = std::function<bool(const value& part)>;

/// Answers one request:
///
/// A :query is a value, or its text, which errors then point into.
///
///   query/1     :query :args :databases {"$name" "directory"} :views {"$name" view}
///                                                               [result [column ...]]
///   explain/1   the same                                        a map
///   pull/1      :pattern :entities                              [map or nil ...]
///   entity/1    :entity                                         a map, nil if there is none
///   datoms/1    :index :parts :limit; :from and :to, values; or :seek, :on or :back
///                                         parts of [[e attribute value t added] ...]
///   history/1   :entity                   [[t instant attribute value added tx-facts] ...]
///   tx-range/1  :start :end, or :from "cursor" :follow
///                       parts of [{:t :instant :data [[:db/add e a v] ...]} ...], a rewind
///                       also with :rewind-to :stream :position
///   schema/1                              [{:db/ident ...} ...]
///   stats/1                               {:datoms n :attributes {attribute {...}}}
///   idents/1                              [keyword ...]
///   basis-t/1                             the last t
///   verify/1    parts "a problem" or [done all]; {:transactions :datoms :entries :problems}
///   writes/1    fails as transact/1 would            nil
///   transact/1  :tx-data                  {:t :tx-data [[e attribute value t added] ...] :tempids}
///
/// `dir` is the database's directory. Errors: misuse for a request it does not know, locked if
/// others may not write now, canceled, those of the operation.
value answer_request(datom::connection& connection,
                     const std::filesystem::path& dir,
                     sharing allowed,
                     const std::string& method,
                     const value& args,
                     const emit_function& emit);

}  // namespace tributary::cli
