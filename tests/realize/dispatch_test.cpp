#include "tributary/value/json.hpp"

#include "realize/support.hpp"
#include <fstream>
#include <sstream>

namespace tributary::test {

namespace {

/// What `form` makes of `params` as the value of :x; "nothing" if it is missing.
std::string evaluated(const std::string& form, const std::string& params) {
    const dispatch_map d = read_dispatch_map("{:ops {o [{:x " + form + "}]}}");
    const value made = d.ops.at("o")(edn::read(params), {});
    if (made.as<vector>().empty()) return "nothing";
    return edn::print(*made.as<vector>().at(0).find(value(keyword{"x"})));
}

std::string transaction(const std::string& forms, const std::string& params) {
    return edn::print(
        read_dispatch_map("{:ops {o " + forms + "}}").ops.at("o")(edn::read(params), {}));
}

std::string refusal(const std::string& map) {
    return message_of([&] { read_dispatch_map(map); });
}

}  // namespace

TEST_CASE("dispatch: paths lead into maps and vectors, and end in nothing", "[realize]") {
    CHECK(evaluated("[:path \"a\" \"b\"]", "{\"a\" {\"b\" 1}}") == "1");
    CHECK(evaluated("[:path \"a\" 1]", "{\"a\" [5 6]}") == "6");
    CHECK(evaluated("[:path :a]", "{:a 1}") == "1");
    CHECK(evaluated("[:path]", "7") == "7");
    CHECK(evaluated("[:path \"a\" 2]", "{\"a\" [5 6]}") == "nothing");
    CHECK(evaluated("[:path \"a\" -1]", "{\"a\" [5 6]}") == "nothing");
    CHECK(evaluated("[:path \"b\"]", "{\"a\" 1}") == "nothing");
    CHECK(evaluated("[:path \"a\" \"b\"]", "{\"a\" \"text\"}") == "nothing");
    CHECK(evaluated("[:path \"a\"]", "{\"a\" nil}") == "nothing");
    CHECK(evaluated("[:path \"id\"]", "{\"id\" 850007368138018817}") == "850007368138018817");
}

TEST_CASE("dispatch: conversions", "[realize]") {
    CHECK(evaluated("[:inst-ms [:path]]", "\"1429974920000\"") ==
          "#inst \"2015-04-25T15:15:20.000Z\"");
    CHECK(evaluated("[:inst-ms [:path]]", "1429974920000") == "#inst \"2015-04-25T15:15:20.000Z\"");
    CHECK(evaluated("[:inst [:path]]", "\"2015-04-25T15:15:20Z\"") ==
          "#inst \"2015-04-25T15:15:20.000Z\"");
    CHECK(evaluated("[:long [:path]]", "\"-12\"") == "-12");
    CHECK(evaluated("[:long [:path]]", "3.0") == "3");
    CHECK(evaluated("[:double [:path]]", "3") == "3.0");
    CHECK(evaluated("[:double [:path]]", "\"0.5\"") == "0.5");
    CHECK(evaluated("[:string [:path]]", "850007368138018817") == "\"850007368138018817\"");
    CHECK(evaluated("[:string [:path]]", ":a/b") == "\"a/b\"");
    CHECK(evaluated("[:keyword [:path]]", "\"a/b\"") == ":a/b");
    CHECK(evaluated("[:keyword [:path]]", "\":a\"") == ":a");
    CHECK(evaluated("[:long [:path \"gone\"]]", "{}") == "nothing");
    CHECK(evaluated("[:long [:default [:path \"gone\"] \"4\"]]", "{}") == "4");
}

TEST_CASE("dispatch: a conversion that does not apply names the form and what it found",
          "[realize]") {
    for (const auto& [form, params] :
         std::vector<std::pair<std::string, std::string>>{{"[:long [:path]]", "\"12x\""},
                                                          {"[:long [:path]]", "\"\""},
                                                          {"[:long [:path]]", "1.5"},
                                                          {"[:double [:path]]", "true"},
                                                          {"[:inst-ms [:path]]", "\"yesterday\""},
                                                          {"[:inst [:path]]", "\"yesterday\""},
                                                          {"[:inst [:path]]", "5"},
                                                          {"[:keyword [:path]]", "\"a b\""},
                                                          {"[:each [:path] [:path]]", "5"}}) {
        INFO(form << " of " << params);
        CHECK(code_of([&] { evaluated(form, params); }) == errc::bad_input);
        CHECK_THAT(message_of([&] { evaluated(form, params); }),
                   Catch::Matchers::Contains("in the form " + form));
    }
    CHECK_THAT(message_of([] { evaluated("[:long [:path]]", "\"12x\""); }),
               Catch::Matchers::Contains("expected an integer, found \"12x\""));
}

TEST_CASE("dispatch: a fallback stands in for what is missing, nil included", "[realize]") {
    CHECK(evaluated("[:default [:path \"a\"] 5]", "{\"a\" 1}") == "1");
    CHECK(evaluated("[:default [:path \"a\"] 5]", "{\"a\" nil}") == "5");
    CHECK(evaluated("[:default [:path \"a\"] [:path \"b\"]]", "{\"b\" 2}") == "2");
    CHECK(evaluated("[:default [:path \"a\"] nil]", "{}") == "nothing");
}

TEST_CASE("dispatch: lists are gone through", "[realize]") {
    CHECK(evaluated("[:each \"l\" {:n [:path]}]", "{\"l\" [1 2]}") == "[{:n 1} {:n 2}]");
    CHECK(evaluated("[:each \"l\" [:path \"n\"]]", "{\"l\" [{\"n\" 1} {} {\"n\" 3}]}") == "[1 3]");
    CHECK(evaluated("[:each [:path \"a\" \"l\"] [:path]]", "{\"a\" {\"l\" [1]}}") == "[1]");
    CHECK(evaluated("[:each \"l\" [:path]]", "{\"l\" []}") == "nothing");
    CHECK(evaluated("[:each \"l\" [:path]]", "{}") == "nothing");
    CHECK(evaluated("[:each \"l\" [:each \"m\" [:path]]]", "{\"l\" [{\"m\" [1 2]} {\"m\" [3]}]}") ==
          "[1 2 3]");
    CHECK(transaction("[[:each \"l\" {:n [:path]}]]", "{\"l\" [1 2]}") == "[{:n 1} {:n 2}]");
    CHECK(transaction("[[:each \"l\" [:db/retractEntity [:n/id [:path]]]]]", "{\"l\" [1 2]}") ==
          "[[:db/retractEntity [:n/id 1]] [:db/retractEntity [:n/id 2]]]");
}

TEST_CASE(
    "dispatch: a missing part drops an attribute, a whole operation, an entity without its id",
    "[realize]") {
    CHECK(transaction("[{:x [:path \"a\"] :y 1}]", "{}") == "[{:y 1}]");
    CHECK(transaction("[{:x {:y [:path \"a\"]} :z 1}]", "{}") == "[{:z 1}]");
    CHECK(transaction("[[:db/add 1 :x [:path \"a\"]]]", "{}") == "[]");
    CHECK(transaction("[{:db/id [:x/id [:path \"a\"]] :y 1}]", "{}") == "[]");
    CHECK(transaction("[{:db/id \"new\" :y [:path \"a\"]}]", "{}") == "[]");
    CHECK(transaction("[{:x nil}]", "{}") == "[]");
}

TEST_CASE("dispatch: a map that makes no sense is refused when it is read", "[realize]") {
    using Catch::Matchers::Contains;
    CHECK_THAT(refusal("[]"), Contains("expected {:schema [...] :ops {...}}"));
    CHECK_THAT(refusal("{:schema []}"), Contains("expected :ops"));
    CHECK_THAT(refusal("{:ops {} :option 1}"), Contains("found :option"));
    CHECK_THAT(refusal("{:ops []}"), Contains(":ops: expected a map"));
    CHECK_THAT(refusal("{:ops {\"o\" []}}"), Contains("expected a symbol, found \"o\""));
    CHECK_THAT(refusal("{:ops {o {:x 1}}}"), Contains("the op o: expected a vector, found {:x 1}"));
    CHECK_THAT(refusal("{:ops {o [5]}}"), Contains("the op o: expected a map"));
    CHECK_THAT(refusal("{:ops {o [{:x [:lnog 1]}]}}"),
               Contains("the op o: in the form [:lnog 1]: expected one of :path"));
    CHECK_THAT(refusal("{:ops {o [{:x [:long]}]}}"),
               Contains("in the form [:long]: expected one form"));
    CHECK_THAT(refusal("{:ops {o [{:x [:default 1]}]}}"),
               Contains("expected [:default form fallback]"));
    CHECK_THAT(refusal("{:ops {o [{:x [:path 1.5]}]}}"), Contains("as steps of the path"));
    CHECK_THAT(refusal("{:ops {o [{\"x\" 1}]}}"),
               Contains("expected a keyword as the name of an attribute, found \"x\""));
    CHECK_THAT(refusal("{:ops {o [{:x 1}"), Contains("line 1, column"));
    CHECK_THAT(refusal("{:schema {} :ops {}}"), Contains(":schema: expected a vector"));
}

TEST_CASE("dispatch: the schema is one transaction or several", "[realize]") {
    CHECK(read_dispatch_map("{:ops {}}").schema == value(vector{}));
    CHECK(edn::print(read_dispatch_map("{:schema [{:a 1} {:b 2}] :ops {}}").schema) ==
          "[[{:a 1} {:b 2}]]");
    CHECK(edn::print(read_dispatch_map("{:schema [[{:a 1}] [{:b 2}]] :ops {}}").schema) ==
          "[[{:a 1}] [{:b 2}]]");
    CHECK(edn::print(read_dispatch_map("{:schema [[:db/add 1 :a 1]] :ops {}}").schema) ==
          "[[[:db/add 1 :a 1]]]");
}

TEST_CASE("dispatch: the digest is of what a map means, not of how it is written", "[realize]") {
    const hash32 digest = read_dispatch_map("{:ops {o [{:x 1, :y 2}]}}").digest;
    CHECK(digest == read_dispatch_map("{:ops {o [{:y 2 ; a comment\n :x 1}]}}").digest);
    CHECK(digest != read_dispatch_map("{:ops {o [{:y 2 :x 2}]}}").digest);
    const auto nothing = [](const value&, const op_context&) -> value { return vector{}; };
    const hash32 coded = make_dispatch_map({{"o", nothing}}, vector{}, "1").digest;
    CHECK(coded == make_dispatch_map({{"o", nothing}}, vector{}, "1").digest);
    CHECK(coded != make_dispatch_map({{"o", nothing}}, vector{}, "2").digest);
    CHECK(coded != make_dispatch_map({{"p", nothing}}, vector{}, "1").digest);
}

TEST_CASE("dispatch: what a target keeps of a stream is that of the fixture", "[realize]") {
    // Lines "name hex"; if a digest changed, every database would have to be rebuilt.
    std::map<std::string, bytes> kept;
    kept["digest-read"] = bytes(read_dispatch_map(items_map).digest.view());
    const auto nothing = [](const value&, const op_context&) -> value { return vector{}; };
    const dispatch_map made =
        make_dispatch_map({{"o", nothing}, {"p", nothing}}, edn::read("[{:db/ident :a}]"), "1");
    kept["digest-made"] = bytes(made.digest.view());
    history h;
    h.put(1, 2);
    realized r;
    REQUIRE(r.run(h) == stream_stop::caught_up);
    const auto cursor = r.connection->cursor("main");
    REQUIRE(cursor);
    kept["cursor-dispatch"] = cursor->dispatch;
    kept["cursor-commit"] = cursor->commit;
    std::string ours, promised;
    for (const auto& [name, data] : kept) ours += name + " " + to_hex(data) + "\n";
    std::ifstream file(TRIBUTARY_FIXTURES "/realize_stream.txt");
    for (std::string line; std::getline(file, line);) promised += line + "\n";
    CHECK(ours == promised);
}

TEST_CASE("dispatch: the tweets of the examples become facts", "[realize]") {
    std::ifstream file(std::string(TRIBUTARY_FIXTURES) + "/../../examples/tweets.edn");
    std::stringstream text;
    text << file.rdbuf();
    realized r(text.str());

    history h;
    const auto add_tweet = [&](const char* tweet) {
        h.add({encode(op{symbol{"add-tweet"}, json::read(tweet)})});
    };
    add_tweet(
        R"({"id": 850007368138018817, "text": "node.js and Node, again", "timestamp_ms": "1429974920000",
                  "user": {"screen_name": "ann"}, "favorite_count": 3, "retweet_count": 0})");
    add_tweet(
        R"({"id": 850007368138018818, "text": "nothing of the kind", "user": {"screen_name": "bob"}, "lang": "en"})");
    REQUIRE(r.run(h) == stream_stop::caught_up);

    CHECK(r.ask("[:find (count ?t) . :where [_ :tweet/text ?t]]") == value(2));
    CHECK(edn::print(r.ask("[:find ?id ?ts ?f ?r :where [?t :tweet/id ?id] [?t :tweet/ts ?ts] [?t "
                           ":tweet/favourite-count ?f] "
                           "[?t :tweet/retweet-count ?r]]")) ==
          "#{[850007368138018817 #inst \"2015-04-25T15:15:20.000Z\" 3 0]}");
    CHECK(edn::print(r.ask("[:find [?u ...] :where [(fulltext $ :tweet/text \"node\") [[?t]]] [?t "
                           ":tweet/screenname ?u]]")) == "[\"ann\"]");
}

}  // namespace tributary::test
