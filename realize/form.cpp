#include "tributary/realize/form.hpp"

#include "tributary/value/edn.hpp"
#include "tributary/value/instant.hpp"

#include <charconv>
#include <cmath>
#include <functional>
#include <map>

namespace tributary {

namespace {

using form_ptr = std::unique_ptr<const form>;

[[noreturn]] void refuse(const value& source, const std::string& expected) {
    throw error(errc::bad_input, "in the form " + edn::print(source) + ": " + expected);
}

/// nil counts as missing here and below, as a fact cannot hold it.
class constant_form : public form {
public:
    explicit constant_form(value v) : value_(std::move(v)) {}
    std::optional<value> evaluate(const value&) const override {
        return value_.is_nil() ? std::nullopt : std::optional(value_);
    }

private:
    value value_;
};

/// [:path step ...]: strings go into maps, integers into vectors.
class path_form : public form {
public:
    explicit path_form(std::vector<value> steps) : steps_(std::move(steps)) {}

    std::optional<value> evaluate(const value& scope) const override {
        const value* at = &scope;
        for (const value& step : steps_) {
            at = into(*at, step);
            if (at == nullptr) return std::nullopt;
        }
        if (at->is_nil()) return std::nullopt;
        return *at;
    }

private:
    static const value* into(const value& at, const value& step) {
        if (const auto* index = step.get_if<std::int64_t>()) {
            const auto* items = at.get_if<vector>();
            const bool inside =
                items != nullptr && *index >= 0 && static_cast<std::size_t>(*index) < items->size();
            return inside ? &(*items)[static_cast<std::size_t>(*index)] : nullptr;
        }
        if (const auto* name = step.get_if<std::string>()) return at.find(std::string_view(*name));
        return at.find(step);
    }

    std::vector<value> steps_;
};

using conversion = value (*)(const value&);

class convert_form : public form {
public:
    convert_form(value source, form_ptr from, conversion convert)
        : source_(std::move(source)), from_(std::move(from)), convert_(convert) {}

    std::optional<value> evaluate(const value& scope) const override {
        const std::optional<value> found = from_->evaluate(scope);
        if (!found) return std::nullopt;
        try {
            return convert_(*found);
        } catch (const error& e) {
            refuse(source_, e.what());
        }
    }

private:
    value source_;
    form_ptr from_;
    conversion convert_;
};

class default_form : public form {
public:
    default_form(form_ptr first, form_ptr fallback)
        : first_(std::move(first)), fallback_(std::move(fallback)) {}
    std::optional<value> evaluate(const value& scope) const override {
        std::optional<value> found = first_->evaluate(scope);
        return found ? found : fallback_->evaluate(scope);
    }

private:
    form_ptr first_;
    form_ptr fallback_;
};

/// [:each list form]: a vector of what the form gives for each element; missing if that is nothing.
/// An :each within gives one vector, not one for each.
class each_form : public form {
public:
    each_form(value source, form_ptr list, form_ptr body)
        : source_(std::move(source)),
          list_(std::move(list)),
          body_(std::move(body)),
          is_nested_(is_each(source_.as<vector>().back())) {}

    std::optional<value> evaluate(const value& scope) const override {
        const std::optional<value> found = list_->evaluate(scope);
        if (!found) return std::nullopt;
        const auto* items = found->get_if<vector>();
        if (items == nullptr)
            refuse(source_,
                   std::string("expected a list to go through, found a ") + name_of(found->type()));
        vector out;
        for (const value& item : *items) {
            std::optional<value> made = body_->evaluate(item);
            if (!made) continue;
            if (is_nested_) {
                for (value& inner : made->as<vector>()) out.push_back(std::move(inner));
            } else {
                out.push_back(std::move(*made));
            }
        }
        if (out.empty()) return std::nullopt;
        return value(std::move(out));
    }

private:
    value source_;
    form_ptr list_;
    form_ptr body_;
    bool is_nested_;
};

/// A vector of forms, such as [:db/add e a v] or a lookup ref: with a part missing, it is missing.
class vector_form : public form {
public:
    explicit vector_form(std::vector<form_ptr> parts) : parts_(std::move(parts)) {}
    std::optional<value> evaluate(const value& scope) const override {
        vector out;
        out.reserve(parts_.size());
        for (const form_ptr& part : parts_) {
            std::optional<value> made = part->evaluate(scope);
            if (!made) return std::nullopt;
            out.push_back(std::move(*made));
        }
        return value(std::move(out));
    }

private:
    std::vector<form_ptr> parts_;
};

/// A map of forms, an entity: a missing value drops its attribute. Without its :db/id, or with
/// nothing said of the entity, all of it is missing.
class map_form : public form {
public:
    struct entry {
        value key;
        form_ptr made_by;
        bool is_id;
    };

    explicit map_form(std::vector<entry> entries) : entries_(std::move(entries)) {}

    std::optional<value> evaluate(const value& scope) const override {
        map out;  // keys are constants in canonical order already
        out.entries.reserve(entries_.size());
        bool says_something = false;
        for (const entry& e : entries_) {
            std::optional<value> made = e.made_by->evaluate(scope);
            if (!made && e.is_id) return std::nullopt;
            if (!made) continue;
            says_something = says_something || !e.is_id;
            out.entries.emplace_back(e.key, std::move(*made));
        }
        if (!says_something) return std::nullopt;
        return value(std::move(out));
    }

private:
    std::vector<entry> entries_;
};

[[noreturn]] void cannot(const char* wanted, const value& v) {
    throw error(errc::bad_input, std::string("expected ") + wanted + ", found " + edn::print(v));
}

/// Converts all of `text`, or fails.
template <class Number>
Number number_from(const std::string& text, const char* wanted, const value& v) {
    Number n{};
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (failed != std::errc() || end != text.data() + text.size() || text.empty())
        cannot(wanted, v);
    return n;
}

value to_long(const value& v) {
    if (v.get_if<std::int64_t>() != nullptr) return v;
    if (const auto* t = v.get_if<inst>()) return t->ms;
    if (const auto* s = v.get_if<std::string>())
        return number_from<std::int64_t>(*s, "an integer", v);
    if (const auto* d = v.get_if<double>()) {
        if (std::trunc(*d) == *d && std::abs(*d) < 9.2e18) return static_cast<std::int64_t>(*d);
    }
    cannot("an integer", v);
}

value to_double(const value& v) {
    if (v.get_if<double>() != nullptr) return v;
    if (const auto* i = v.get_if<std::int64_t>()) return static_cast<double>(*i);
    if (const auto* s = v.get_if<std::string>()) return number_from<double>(*s, "a number", v);
    if (const auto* d = v.get_if<decimal>()) return number_from<double>(d->text, "a number", v);
    if (const auto* b = v.get_if<bigint>()) return number_from<double>(b->text, "a number", v);
    cannot("a number", v);
}

value to_string(const value& v) {
    if (v.get_if<std::string>() != nullptr) return v;
    if (const auto* k = v.get_if<keyword>()) return k->text;
    if (const auto* s = v.get_if<symbol>()) return s->text;
    if (const auto* t = v.get_if<inst>()) return format_instant(*t);
    return edn::print(v);
}

value to_keyword(const value& v) {
    if (v.get_if<keyword>() != nullptr) return v;
    const auto* s = v.get_if<std::string>();
    if (s == nullptr || s->empty() || s->find_first_of(" \t\n\",;()[]{}") != std::string::npos)
        cannot("a name without spaces", v);
    return keyword{s->front() == ':' ? s->substr(1) : *s};
}

value to_instant(const value& v) {
    if (v.get_if<inst>() != nullptr) return v;
    if (const auto* s = v.get_if<std::string>()) return parse_instant(*s);
    cannot("an ISO 8601 time", v);
}

value to_instant_from_ms(const value& v) { return inst{to_long(v).as<std::int64_t>()}; }

const std::map<std::string, conversion>& conversions() {
    static const std::map<std::string, conversion> all = {{"inst-ms", to_instant_from_ms},
                                                          {"inst", to_instant},
                                                          {"long", to_long},
                                                          {"double", to_double},
                                                          {"string", to_string},
                                                          {"keyword", to_keyword}};
    return all;
}

form_ptr compile_path(const vector& call) {
    std::vector<value> steps(call.begin() + 1, call.end());
    for (const value& step : steps) {
        const bool fits = step.get_if<std::string>() != nullptr ||
                          step.get_if<keyword>() != nullptr ||
                          step.get_if<std::int64_t>() != nullptr;
        if (!fits) refuse(call, "expected strings, keywords or integers as steps of the path");
    }
    return std::make_unique<path_form>(std::move(steps));
}

/// Where a list to go through is: the short form "field" for [:path "field"].
form_ptr compile_list(const value& source) {
    if (source.get_if<std::string>() != nullptr)
        return std::make_unique<path_form>(std::vector<value>{source});
    return compile_form(source);
}

/// A call: a vector that begins with a keyword without a namespace.
form_ptr compile_call(const std::string& name, const vector& call) {
    if (name == "path") return compile_path(call);
    if (name == "default") {
        if (call.size() != 3) refuse(call, "expected [:default form fallback]");
        return std::make_unique<default_form>(compile_form(call[1]), compile_form(call[2]));
    }
    if (name == "each") {
        if (call.size() != 3) refuse(call, "expected [:each \"field\" form]");
        return std::make_unique<each_form>(call, compile_list(call[1]), compile_form(call[2]));
    }
    const auto known = conversions().find(name);
    if (known == conversions().end()) {
        refuse(call,
               "expected one of :path :inst-ms :inst :long :double :string :keyword :default "
               ":each, found :" +
                   name);
    }
    if (call.size() != 2) refuse(call, "expected one form after :" + name);
    return std::make_unique<convert_form>(call, compile_form(call[1]), known->second);
}

}  // namespace

bool is_each(const value& source) {
    const auto* call = source.get_if<vector>();
    return call != nullptr && !call->empty() && call->front() == value(keyword{"each"});
}

std::unique_ptr<const form> compile_form(const value& source) {
    if (const auto* items = source.get_if<vector>()) {
        if (!items->empty()) {
            const auto* head = items->front().get_if<keyword>();
            if (head != nullptr && head->text.find('/') == std::string::npos)
                return compile_call(head->text, *items);
        }
        std::vector<form_ptr> parts;
        for (const value& item : *items) parts.push_back(compile_form(item));
        return std::make_unique<vector_form>(std::move(parts));
    }
    if (const auto* entries = source.get_if<map>()) {
        std::vector<map_form::entry> compiled;
        for (const auto& [key, val] : entries->entries) {
            if (key.get_if<keyword>() == nullptr)
                refuse(source,
                       "expected a keyword as the name of an attribute, found " + edn::print(key));
            compiled.push_back({key, compile_form(val), key == value(keyword{"db/id"})});
        }
        return std::make_unique<map_form>(std::move(compiled));
    }
    return std::make_unique<constant_form>(source);
}

}  // namespace tributary
