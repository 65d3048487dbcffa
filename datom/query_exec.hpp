/// Evaluates the clauses of a query, cheapest first, over columns of cells. Private to the room.
#pragma once

#include "tributary/datom/builtins.hpp"
#include "tributary/datom/plan.hpp"
#include "tributary/datom/query_push.hpp"
#include "tributary/datom/query_relation.hpp"
#include "tributary/datom/query_trace.hpp"

#include <map>
#include <memory>
#include <set>

namespace tributary::datom::datalog {

/// The rows so far: the product of relations that share no variable.
class environment {
public:
    bool failed() const { return failed_; }
    /// Joins `r` with the relations it shares variables with.
    void add(relation r, stop_check& stop);
    bound_rows bound() const;
    single_values singles() const;
    /// Drops other columns; where that may leave rows twice, they become one.
    void keep_only(const var_set& live, bool make_distinct, stop_check& stop);
    /// The smallest relation that has one of `vars`; taken out.
    std::optional<relation> take_smallest(const std::vector<var_id>& vars);
    /// The product of all relations that have one of `vars`, taken out; with none of them: the
    /// relation that is true.
    relation take_all(const std::vector<var_id>& vars, stop_check& stop);
    /// The same rows seen through `vars` only.
    environment seen_through(const std::vector<var_id>& vars, stop_check& stop) const;
    /// Distinct rows over `vars`.
    relation result(const std::vector<var_id>& vars, stop_check& stop);

private:
    std::vector<relation> relations_;
    bool failed_ = false;
};

/// The rows over the variables of `b` that `c` stands for. Errors: bad_input naming `where` if
/// it has not the binding's shape.
relation bind_cells(const binding& b, const cell& c, const place& where, stop_check& stop);

class evaluator {
public:
    evaluator(const rule_set& rules, var_names& names, arena& memory, stop_check& stop)
        : planner_(rules), rules_(rules), names_(names), memory_(memory), stop_(stop) {}

    /// Notes down from now on what is done; null ends it.
    void trace_to(query_trace* trace) { trace_ = trace; }

    /// Errors: bad_input naming the clause: unknown functions, attributes, sources, rules,
    /// variables nothing binds. Whatever the data.
    void check(const clauses& body, const var_set& bound, const source_map& sources);

    /// The distinct rows over `wanted` for which `body` (but for one clause)
    /// holds, beginning with those of `env`.
    relation evaluate(const clauses& body,
                      environment env,
                      const source_map& sources,
                      const std::vector<var_id>& wanted,
                      const clause* without = nullptr);

private:
    struct rule_table;
    /// Answers of `callee` that the clause of a rule's body has been given.
    struct rule_site {
        const clause* call = nullptr;
        rule_table* callee = nullptr;
        std::size_t used = 0;
        bool nested = false;  ///< inside of another clause
    };
    struct branch_state {
        const rule_branch* of = nullptr;
        std::vector<rule_site> sites;
        /// Of some calls, which arguments they are asked with ('b') whatever else is bound.
        std::map<const clause*, std::string> masks;
        const clause* tail = nullptr;
    };
    /// What one rule, called on one source with the same arguments bound, was asked and has
    /// answered.
    struct rule_table {
        std::string name;
        std::string mask;  ///< 'b' for bound arguments, 'f' for free ones
        const rule* of = nullptr;
        source_map sources;
        std::vector<var_id> params;
        growing_relation demand;   ///< over the bound parameters
        growing_relation answers;  ///< over all
        std::size_t demand_used = 0;
        std::vector<branch_state> branches;
        /// Of a rule that calls itself last only: what was asked and where its questions led,
        /// over `params` of bound arguments twice.
        bool is_tail = false;
        std::vector<var_id> roots;
        growing_relation reached;
        std::size_t reached_used = 0;
    };
    /// How one branch of such a rule goes on from rows of `reached`.
    struct tail_step {
        std::vector<var_id> here;  ///< what the columns of `reached` are to its body
        std::vector<term> made;    ///< the row of an answer, or of the next question
        std::vector<var_id> wanted;
    };
    struct rule_scope {
        std::map<std::string, rule_table*> by_key;
        std::vector<std::unique_ptr<rule_table>> tables;
        bool running = false;
    };

    struct choice {
        std::size_t index = 0;  ///< the number of clauses if none can run
        double cost = 0;
        std::vector<std::pair<const clause*, double>> others{};  ///< that could run, if traced
    };
    /// The clause to run next.
    choice cheapest(const std::vector<const clause*>& waiting,
                    const environment& env,
                    const source_map& sources);
    /// Runs `c`, with those of `waiting` that can be part of it (they are taken out), and drops
    /// what is not `live` or needed by the rest.
    void step(const clause& c,
              environment& env,
              const source_map& sources,
              std::vector<const clause*>& waiting,
              var_set live);
    /// step, noted down.
    void traced(const clause& c,
                const choice& why,
                environment& env,
                const source_map& sources,
                std::vector<const clause*>& waiting,
                const var_set& live);
    void check_clause(const clause& c, const source_map& sources);
    void match(const clause& c,
               const pattern& p,
               environment& env,
               const source_map& sources,
               std::vector<inline_test> tests,
               const var_set& live);
    void run(const clause& c, const call& f, environment& env, const source_map& sources);
    void run(const negation& n, environment& env, const source_map& sources);
    void run(const disjunction& d, environment& env, const source_map& sources);
    void run(const clause& c, const rule_call& r, environment& env, const source_map& sources);
    rule_table& table_for(const rule_call& r, const std::string& mask, const source_map& sources);
    void choose_masks(rule_table& t, branch_state& branch) const;
    /// Whether the branch ends in a call of the rule that hands on what is free.
    const clause* tail_call(const rule_table& t, const rule_branch& branch) const;
    void answer(const std::string& text);
    bool answer_once(rule_table& t, const std::string& text);
    void answer_branch(rule_table& t, std::size_t branch);
    void follow_tail(rule_table& t);
    tail_step step_of(const rule_table& t, const branch_state& branch) const;
    /// Adds what these terms are in each row of `found`.
    void add_made(const std::vector<term>& made, const relation& found, growing_relation& into);

    planner planner_;
    const rule_set& rules_;
    var_names& names_;
    arena& memory_;
    stop_check& stop_;
    query_trace* trace_ = nullptr;
    rule_scope top_;
    rule_scope* scope_ = &top_;
    rule_table* asking_ = nullptr;  ///< whose body is being evaluated
    std::size_t asking_branch_ = 0;
    std::vector<std::string>
        answering_;  ///< rules whose bodies are being evaluated, outermost first
    std::set<std::string> under_negation_;  ///< those of them that wait for a negation
};

}  // namespace tributary::datom::datalog
