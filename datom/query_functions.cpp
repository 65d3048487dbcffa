#include "tributary/datom/query_functions.hpp"

#include "tributary/datom/builtin_names.hpp"
#include "tributary/datom/query_source.hpp"

namespace tributary::datom::datalog {

namespace {

/// Nested queries deeper than this are one that asks itself.
constexpr int nested_max = 16;
thread_local int nesting = 0;

struct nested_scope {
    nested_scope() {
        if (++nesting <= nested_max) return;
        --nesting;
        throw error(errc::limit,
                    "db.error/nesting-limit",
                    "query: more than " + std::to_string(nested_max) + " queries inside another");
    }
    ~nested_scope() { --nesting; }
};

/// (q query input...): inputs that are sources come as symbols.
cell nested_query(const query_options& options, call_context& c, std::span<const cell> args) {
    const nested_scope deeper;
    std::vector<query_input> inputs;
    for (const cell& arg : args.subspan(1)) {
        const auto source = arg.is(kind::symbol) && c.sources != nullptr
                                ? c.sources->find(arg.view())
                                : source_map::const_iterator();
        const bool named =
            arg.is(kind::symbol) && c.sources != nullptr && source != c.sources->end();
        inputs.push_back(named ? source->second->as_input() : query_input(to_value(arg)));
    }
    query_options inner = options;
    inner.timeout = c.time_left ? c.time_left() : options.timeout;
    return to_cell(query(to_value(args[0]), inputs, inner), c.memory);
}

}  // namespace

cell call_given(const query_function& f, std::span<const cell> args, arena& memory) {
    std::vector<value> values;
    values.reserve(args.size());
    for (const cell& c : args) values.push_back(to_value(c));
    return to_cell(f(values), memory);
}

function_table::function_table(const query_options& options)
    : options_(options),
      call_value_(
          [this](call_context& c, std::span<const cell> args) { return call_value(c, args); }),
      nested_([this](call_context& c, std::span<const cell> args) {
          return nested_query(options_, c, args);
      }),
      by_value_{"", 1, any_number, nullptr, false, &call_value_},
      nested_query_{"q", 1, any_number, nullptr, false, &nested_, true} {
    for (const auto& [name, f] : options.functions) add(name, f);
}

void function_table::add(const std::string& name, query_function f) {
    auto g = std::make_unique<given>();
    g->function = std::move(f);
    g->code = [&called = g->function](call_context& c, std::span<const cell> args) {
        return call_given(called, args, c.memory);
    };
    g->entry = {"", 0, any_number, nullptr, false, &g->code};
    given_[name] = std::move(g);
}

const builtin* function_table::find(std::string_view name) const {
    const auto found = given_.find(name);
    if (found != given_.end()) return &found->second->entry;
    if (name == "q") return &nested_query_;
    const builtin* b = find_builtin(name);
    return options_.lenient ? comparing_all_types(b) : b;
}

const query_function* function_table::find_given(std::string_view name) const {
    const auto found = given_.find(name);
    return found == given_.end() ? nullptr : &found->second->function;
}

cell function_table::call_value(call_context& c, std::span<const cell> args) const {
    cell called = args[0];
    bool negated = false;
    while (called.is(kind::list) && called.size == 2 && called.items[0].is(kind::symbol) &&
           called.items[0].view() == "complement") {
        called = called.items[1];
        negated = !negated;
    }
    if (!called.is(kind::symbol)) {
        fail_call("expected a function (its name, a symbol), found " + describe(args[0]));
    }
    const builtin* target = find(called.view());
    if (target == nullptr) {
        fail_call("db.error/unknown-function",
                  "there is no function named " + std::string(called.view()));
    }
    args = args.subspan(1);
    if (target->needs_source && c.database == nullptr)
        fail_call(std::string(called.view()) + " takes a database; call it by its name");
    if (args.size() < target->args_min || args.size() > target->args_max) {
        fail_call(
            "db.error/arity",
            std::string(called.view()) + " does not take " + counted(args.size(), "argument"));
    }
    const cell result = target->run(c, args);
    return negated ? cell::of(!result.is_true()) : result;
}

void function_table::bind(clauses& body) const {
    for (clause& c : body) bind(c);
}

void function_table::bind(clause& c) const {
    if (negation* n = std::get_if<negation>(&c.what)) bind(n->body);
    if (disjunction* d = std::get_if<disjunction>(&c.what)) {
        for (clauses& branch : d->branches) bind(branch);
    }
    call* f = std::get_if<call>(&c.what);
    if (f == nullptr) return;
    f->target = f->by_value ? &by_value_ : find(f->function);
    if (f->target == nullptr) {
        std::vector<std::string_view> known = builtin_names();
        for (const auto& [name, given] : given_) known.emplace_back(name);
        fail_clause("db.error/unknown-function",
                    place(c.text).at(f->function),
                    "there is no function named " + f->function + did_you_mean(f->function, known) +
                        "; docs/queries.md lists those there are, and C++ registers others in "
                        "query_options::functions");
    }
}

}  // namespace tributary::datom::datalog
