/// Realizes into a datom database: one op, one transaction.
///
/// Each commit is an entity (:commit/id unique, :commit/author, :commit/author-name, :commit/time);
/// each transaction's entity refers to its commit
/// (:tx/commit) and carries the op (:commit/op, :tx/op-index). So who changed what, when and why is
/// an ordinary query. An op that was not applied is a transaction with :op/failed (and
/// :op/quarantined, the op itself as EDN text).
#pragma once

#include "tributary/datom/database.hpp"
#include "tributary/realize/target.hpp"

namespace tributary {

class datom_target : public realize_target {
public:
    /// `stream` names the applied log in the database. Everything must outlive the target.
    datom_target(datom::connection& database, std::string stream, const dispatch_map& dispatch);

    std::optional<stream_cursor> cursor() const override;
    std::optional<linear_mark> applied_at(std::uint64_t position) const override;
    /// Errors: misuse if the database has facts of its own and no stream, for with one it would
    /// take no other writes.
    void begin(const stream_cursor& from) override;
    void apply(const op& o, const op_context& context) override;
    void record_failure(const op_context& context,
                        const op* o,
                        const std::string& reason,
                        bool quarantined) override;
    void end_commit(const stream_cursor& to, const op_context& commit) override;
    void flush() override;
    void discard() override;
    std::size_t staged_bytes() const override;
    void rewind(std::uint64_t position) override;

private:
    void stage_op(vector forms, const op_context& context, const std::string& op_name, vector more);

    datom::connection& database_;
    std::string stream_;
    const dispatch_map& dispatch_;
    std::optional<datom::entity_id> commit_entity_;  ///< of the commit whose ops are being staged
};

/// Whether `database` has transactions that no stream made, so that no stream can make them again.
bool has_facts_of_its_own(const datom::connection& database);

}  // namespace tributary
