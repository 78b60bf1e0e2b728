package dev.graft.data;

import static dev.graft.data.Fixtures.assistant;
import static dev.graft.data.Fixtures.system;
import static dev.graft.data.Fixtures.targets;
import static dev.graft.data.Fixtures.template;
import static dev.graft.data.Fixtures.user;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.common.InputException;
import dev.graft.data.ChatTemplate.MaskedChat;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ChatTemplateTest {
    private static final List<Map<String, Object>> TWO_TURNS =
            List.of(user("Hi"), assistant("Hello!\nWhat?"), user(" Bye "), assistant("Bye"));

    /** Template, and what is learnt of the two assistant turns; {@code /} stands for a newline. */
    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            quoteCharacter = '`',
            value = {
                "smollm2; Hello!/What?<|im_end|>; Bye<|im_end|>",
                "chatml; Hello!/What?<|im_end|>; Bye<|im_end|>",
                "qwen2; Hello!/What?<|im_end|>; Bye<|im_end|>",
                "qwen2.5; Hello!/What?<|im_end|>; Bye<|im_end|>",
                "qwen3; Hello!/What?<|im_end|>; <think>//<~think>//Bye<|im_end|>",
                "llama-3; Hello!/What?<|eot_id|>; Bye<|eot_id|>",
                "llama-3.2; Hello!/What?<|eot_id|>; Bye<|eot_id|>",
                "tinyllama; Hello!/What?<~s>; Bye<~s>",
                "mistral-v0.1; Hello!/What?<~s>; Bye<~s>",
                "mistral-v0.3; ` Hello!/What?<~s>`; ` Bye<~s>`",
                "gemma; Hello!/What?<end_of_turn>; Bye<end_of_turn>",
                "generation; Hello!/What?<|im_end|>; Bye<|im_end|>",
            })
    void learnsAssistantTurnsWithTheirEndToken(String name, String first, String second) {
        ChatTemplate template = template(name);
        MaskedChat chat = template.renderMasked(TWO_TURNS, null);
        assertThat(chat.text()).isEqualTo(template.render(TWO_TURNS, false));
        assertThat(targets(chat)).containsExactly(text(first), text(second));
    }

    private static String text(String written) {
        return written.replace('/', '\n').replace('~', '/');
    }

    @Test
    void learnsNothingOfAChatWithoutAssistant() {
        assertThat(template("chatml")
                        .renderMasked(List.of(system("s"), user("u")), null)
                        .targets())
                .isEmpty();
    }

    @Test
    void findsAnAssistantThatSpeaksFirstAndSeveralInARow() {
        List<Map<String, Object>> chat =
                List.of(assistant("Welcome"), assistant(" again "), user("Hi"), assistant("x"));
        for (String name : List.of("chatml", "smollm2", "qwen2.5", "qwen3")) {
            List<String> targets = targets(template(name).renderMasked(chat, null));
            assertThat(targets).as(name).hasSize(3);
            assertThat(targets.get(0)).as(name).endsWith("Welcome<|im_end|>");
            assertThat(targets.get(1)).as(name).endsWith(" again <|im_end|>");
        }
        assertThat(targets(template("llama-3").renderMasked(chat, null)))
                .containsExactly("Welcome<|eot_id|>", "again<|eot_id|>", "x<|eot_id|>");
    }

    @Test
    void findsTheAnswerOfEarlierTurnsWhoseThoughtsTheTemplateDrops() {
        List<Map<String, Object>> chat = List.of(
                user("1+1?"),
                assistant("<think>\neasy\n</think>\n\n2"),
                user("2+2?"),
                assistant("<think>\nhm\n</think>\n\n4"));
        assertThat(targets(template("qwen3").renderMasked(chat, null)))
                .containsExactly("2<|im_end|>", "<think>\nhm\n</think>\n\n4<|im_end|>");
    }

    @Test
    void isNotMisledByContentsThatRepeatOrLookLikeTheTemplate() {
        List<Map<String, Object>> chat = List.of(
                user("a"),
                assistant("a"),
                user("a"),
                assistant("<|im_start|>assistant\na<|im_end|>"),
                user("\uE000"),
                assistant("\uE001"));
        assertThat(targets(template("chatml").renderMasked(chat, null)))
                .containsExactly("a<|im_end|>", "<|im_start|>assistant\na<|im_end|><|im_end|>", "\uE001<|im_end|>");
        assertThat(targets(template("qwen3").renderMasked(chat, null)))
                .startsWith("a<|im_end|>", "<|im_start|>assistant\na<|im_end|><|im_end|>")
                .last()
                .asString()
                .endsWith("\uE001<|im_end|>");
    }

    @Test
    void refusesATurnThatItCannotFindExactly() {
        ChatTemplate upperCased = ChatTemplate.of(
                "{% for m in messages %}{{ m.content | upper | replace('SS', loop.revindex ~ 'x') }}{% if loop.last %}!{% endif %}{% endfor %}",
                Map.of());
        assertThat(targets(upperCased.renderMasked(List.of(user("a"), assistant("miss")), null)))
                .containsExactly("MI1x!");
        ChatTemplate counted = ChatTemplate.of(
                "{% for m in messages %}{{ messages|length }}{{ m.content|length }};{% endfor %}", Map.of());
        assertThatThrownBy(() -> counted.renderMasked(List.of(user("a"), assistant("b"), user("c")), null))
                .isInstanceOf(InputException.class)
                .hasMessageStartingWith("message 2:")
                .hasMessageContaining("generation");
    }

    @Test
    void findsTurnsThatCallTools() {
        Map<String, Object> call = Map.of("function", Map.of("name", "f", "arguments", Map.of("x", 1)));
        Map<String, Object> calling = new HashMap<>(Map.of("role", "assistant", "tool_calls", List.of(call)));
        List<Map<String, Object>> chat =
                List.of(user("x?"), calling, Map.of("role", "tool", "content", "2"), assistant("Two."));
        List<?> tools = List.of(Map.of("type", "function", "function", Map.of("name", "f")));
        assertThat(targets(template("qwen2.5").renderMasked(chat, tools)))
                .containsExactly(
                        "\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</tool_call><|im_end|>"
                                .substring(1),
                        "Two.<|im_end|>");
    }

    @Test
    void saysWhatATemplateRefuses() {
        assertThatThrownBy(() -> template("gemma").render(List.of(system("s"), user("u")), false))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("System role not supported");
        assertThatThrownBy(() -> template("chatml").render(List.of(Map.of("role", "user")), false))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("'content' is undefined");
    }

    @Test
    void loadsFromAFolder(@TempDir Path dir) throws IOException {
        List<Map<String, Object>> chat = List.of(user("x"));
        assertThatThrownBy(() -> ChatTemplate.load(dir))
                .isInstanceOf(InputException.class)
                .hasMessageContaining(dir.toString());
        Path config = dir.resolve("tokenizer_config.json");
        Files.writeString(config, "{\"bos_token\": {\"content\": \"<b>\"}, \"chat_template\": \"{{ bos_token }}A\"}");
        assertThat(ChatTemplate.load(dir).render(chat, false)).isEqualTo("<b>A");
        Files.writeString(
                config,
                "{\"chat_template\": [{\"name\": \"tool_use\", \"template\": \"T\"}, {\"name\": \"default\", \"template\": \"D\"}]}");
        assertThat(ChatTemplate.load(dir).render(chat, false)).isEqualTo("D");
        Files.writeString(config, "{\"chat_template\": [{\"name\": \"rag\", \"template\": \"R\"}]}");
        assertThatThrownBy(() -> ChatTemplate.load(dir))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("[rag]");
        Files.writeString(dir.resolve("chat_template.jinja"), "{{ strftime_now('%d %b %Y') }}\n");
        Clock clock = Clock.fixed(Instant.parse("2025-03-07T00:00:00Z"), ZoneOffset.UTC);
        assertThat(ChatTemplate.load(dir, clock).render(chat, false)).isEqualTo("07 Mar 2025");
        Files.writeString(dir.resolve("chat_template.jinja"), "{% if %}");
        assertThatThrownBy(() -> ChatTemplate.load(dir))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("chat_template.jinja: line 1");
    }
}
