package dev.graft.data.jinja;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.graft.data.jinja.JinjaTemplate.Rendering;
import dev.graft.data.jinja.JinjaTemplate.Span;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Rendering against jinja2's, as scripts/reference/chat_templates.py wrote it down. */
class JinjaTemplateTest {
    private static final Clock CLOCK = Clock.fixed(Instant.parse("2025-03-07T09:05:04Z"), ZoneOffset.UTC);
    private static final String ROOT = "/dev/graft/data/";

    static Stream<Map<String, Object>> expressions() throws IOException {
        return rows("jinja-cases.json");
    }

    static Stream<Map<String, Object>> chats() throws IOException {
        return rows("chats.json");
    }

    @ParameterizedTest
    @MethodSource("expressions")
    void rendersAsJinja2(Map<String, Object> row) throws IOException {
        Map<String, Object> variables =
                new ObjectMapper().readerForMapOf(Object.class).readValue(resource("jinja-variables.json"));
        check(row, (String) row.get("source"), variables);
    }

    @ParameterizedTest
    @MethodSource("chats")
    void rendersChatsAsTransformers(Map<String, Object> row) throws IOException {
        String source = new String(resource("templates/" + row.get("template") + ".jinja"), StandardCharsets.UTF_8);
        Map<String, Object> variables = new HashMap<>();
        variables.put("messages", row.get("messages"));
        variables.put("tools", row.get("tools"));
        variables.put("documents", null);
        variables.put("add_generation_prompt", row.get("add_generation_prompt"));
        variables.put("bos_token", "<s>");
        variables.put("eos_token", "</s>");
        check(row, source, variables);
    }

    private static void check(Map<String, Object> row, String source, Map<String, Object> variables) {
        if (row.containsKey("error")) {
            String expected = (String) row.get("error");
            assertThatThrownBy(() -> JinjaTemplate.compile(source, CLOCK).render(variables))
                    .isInstanceOfSatisfying(JinjaException.class, e -> {
                        if (e.raisedByTemplate()) {
                            assertThat(e).hasMessage(expected);
                        } else {
                            assertThat(e).hasMessageMatching("line \\d+: .+");
                        }
                    });
            return;
        }
        Rendering rendering = JinjaTemplate.compile(source, CLOCK).render(variables);
        assertThat(rendering.text()).isEqualTo(row.get("text"));
        assertThat(rendering.generated()).isEqualTo(spans(row.get("spans")));
    }

    private static List<Span> spans(Object pairs) {
        List<Span> spans = new ArrayList<>();
        if (pairs instanceof List<?> list) {
            for (Object pair : list) {
                List<?> bounds = (List<?>) pair;
                spans.add(new Span((Integer) bounds.get(0), (Integer) bounds.get(1)));
            }
        }
        return spans;
    }

    @Test
    void saysWhereAndWhatIsWrong() {
        assertThatThrownBy(() -> JinjaTemplate.compile("a\n\n{{ 1 + }}", CLOCK)).hasMessage("line 3: unexpected '}}'");
        assertThatThrownBy(() -> render("{% if true %}\n{{ x.y }}{% endif %}")).hasMessage("line 2: 'x' is undefined");
        assertThatThrownBy(() -> render("\n{{ 'a' | nosuch }}")).hasMessage("line 2: filter 'nosuch' is not supported");
        assertThatThrownBy(() -> render("{% include 'x' %}")).hasMessageContaining("statement 'include'");
        assertThatThrownBy(() -> render("{{ [1][::0] }}")).hasMessageContaining("slice step");
        assertThatThrownBy(() -> render("{{ 9223372036854775807 + 1 }}")).isInstanceOf(JinjaException.class);
        assertThatThrownBy(() -> render("{{ 99999999999999999999 }}")).hasMessageContaining("too large");
    }

    @Test
    void tellsARefusalOfTheTemplateFromItsFaults() {
        assertThatThrownBy(() -> render("{{ raise_exception('no system role') }}"))
                .isInstanceOfSatisfying(JinjaException.class, e -> {
                    assertThat(e.raisedByTemplate()).isTrue();
                    assertThat(e).hasMessage("no system role");
                });
        assertThatThrownBy(() -> render("{{ x.y }}"))
                .isInstanceOfSatisfying(
                        JinjaException.class,
                        e -> assertThat(e.raisedByTemplate()).isFalse());
    }

    @Test
    void boundsWhatATemplateMayUse() {
        assertThatThrownBy(() -> render("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"))
                .hasMessageContaining("more than 200 deep");
        assertThatThrownBy(() -> render("{{ range(1000000000) }}")).hasMessageContaining("100000");
        assertThatThrownBy(() -> render("{{ 'x' * 1000000000 }}")).isInstanceOf(JinjaException.class);
    }

    @Test
    void doesNotTrustGenerationBlocksWhosePlaceIsNotKnown() {
        String block = "{% generation %}x{% endgeneration %}";
        assertThat(JinjaTemplate.compile(block, CLOCK).marksGeneration()).isTrue();
        assertThat(JinjaTemplate.compile("x", CLOCK).marksGeneration()).isFalse();
        assertThat(JinjaTemplate.compile("{% macro f() %}" + block + "{% endmacro %}{{ f() }}", CLOCK)
                        .marksGeneration())
                .isFalse();
        assertThat(JinjaTemplate.compile("{% set y %}" + block + "{% endset %}" + block, CLOCK)
                        .marksGeneration())
                .isFalse();
    }

    private static String render(String source) {
        return JinjaTemplate.compile(source, CLOCK).render(Map.of()).text();
    }

    private static Stream<Map<String, Object>> rows(String name) throws IOException {
        List<Map<String, Object>> rows =
                new ObjectMapper().readerForListOf(Map.class).readValue(resource(name));
        return rows.stream();
    }

    private static byte[] resource(String name) throws IOException {
        try (InputStream in = JinjaTemplateTest.class.getResourceAsStream(ROOT + name)) {
            return Objects.requireNonNull(in, name).readAllBytes();
        }
    }
}
