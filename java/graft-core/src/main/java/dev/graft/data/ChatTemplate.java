package dev.graft.data;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.common.InputException;
import dev.graft.data.jinja.JinjaException;
import dev.graft.data.jinja.JinjaTemplate;
import dev.graft.data.jinja.JinjaTemplate.Rendering;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A model's chat template: how a conversation is written as one text. Rendering equals {@code apply_chat_template(…,
 * tokenize=False)} of transformers. A message is a map with {@code role}, {@code content} and whatever else the template knows
 * ({@code tool_calls}, {@code reasoning_content} …).
 *
 * <p>A template that writes today's date ({@code strftime_now}, Llama 3.2) does so here too.
 */
public final class ChatTemplate {
    private final JinjaTemplate template;
    private final Map<String, String> specialTokens;
    private final String origin;

    private ChatTemplate(JinjaTemplate template, Map<String, String> specialTokens, String origin) {
        this.template = template;
        this.specialTokens = specialTokens;
        this.origin = origin;
    }

    /**
     * Loads the template of a model folder: {@code chat_template.jinja}, or else {@code chat_template} in
     * {@code tokenizer_config.json}, a string or a list of named templates of which {@code default} is taken.
     *
     * @throws InputException where the folder has no template, or one that cannot be parsed
     */
    public static ChatTemplate load(Path modelDir) {
        return load(modelDir, Clock.systemDefaultZone());
    }

    static ChatTemplate load(Path modelDir, Clock clock) {
        Map<String, String> specialTokens = TokenizerFiles.specialTokens(modelDir);
        Path file = modelDir.resolve("chat_template.jinja");
        if (Files.exists(file)) {
            try {
                return of(Files.readString(file), specialTokens, file.toString(), clock);
            } catch (IOException e) {
                throw new UncheckedIOException("cannot read " + file, e);
            }
        }
        Path config = modelDir.resolve("tokenizer_config.json");
        JsonNode value = TokenizerFiles.read(config).path("chat_template");
        if (value.isMissingNode() || value.isNull()) {
            throw new InputException(modelDir + ": no chat template (chat_template.jinja, or chat_template in"
                    + " tokenizer_config.json); take the instruct model's, or use prompt/completion or text data");
        }
        return of(source(config, value), specialTokens, config + ": chat_template", clock);
    }

    private static String source(Path config, JsonNode value) {
        if (value.isTextual()) {
            return value.asText();
        }
        List<String> names = new ArrayList<>();
        for (JsonNode named : value) {
            names.add(named.path("name").asText());
            if (named.path("name").asText().equals("default")
                    && named.path("template").isTextual()) {
                return named.path("template").asText();
            }
        }
        throw new InputException(config + ": chat_template has no template named 'default', only " + names
                + "; put the one to use into chat_template.jinja");
    }

    /**
     * A template given as text.
     *
     * @param specialTokens the variables {@code bos_token}, {@code eos_token} … of the template
     */
    public static ChatTemplate of(String source, Map<String, String> specialTokens) {
        return of(source, specialTokens, "chat template", Clock.systemDefaultZone());
    }

    private static ChatTemplate of(String source, Map<String, String> specialTokens, String origin, Clock clock) {
        try {
            return new ChatTemplate(JinjaTemplate.compile(source, clock), Map.copyOf(specialTokens), origin);
        } catch (JinjaException e) {
            throw new InputException(
                    origin + ": " + e.getMessage() + "; copy the template from the base model again", e);
        }
    }

    /**
     * Writes a conversation as one text.
     *
     * @param addGenerationPrompt whether to open an assistant turn at the end, for the model to go on from
     * @throws InputException where the template refuses the messages or cannot render them
     */
    public String render(List<? extends Map<String, ?>> messages, boolean addGenerationPrompt) {
        return render(messages, null, addGenerationPrompt);
    }

    /** As {@link #render(List, boolean)} with descriptions of tools (JSON schemas) for the model. */
    public String render(
            List<? extends Map<String, ?>> messages, @Nullable List<?> tools, boolean addGenerationPrompt) {
        try {
            return rendering(messages, tools, addGenerationPrompt).text();
        } catch (JinjaException e) {
            throw new InputException(explain(e), e);
        }
    }

    /**
     * Writes a conversation as one text and finds the parts of it that an assistant said, each with its end-of-turn token.
     *
     * @throws InputException where the template refuses the messages, or where it is not certain what an assistant turn became
     * @see AssistantSpans
     */
    public MaskedChat renderMasked(List<? extends Map<String, ?>> messages, @Nullable List<?> tools) {
        try {
            Rendering full = rendering(messages, tools, false);
            return template.marksGeneration()
                    ? new MaskedChat(full.text(), full.generated())
                    : new AssistantSpans(this, messages, tools, full.text()).find();
        } catch (JinjaException e) {
            throw new InputException(explain(e), e);
        }
    }

    /**
     * A conversation as text.
     *
     * @param targets what the assistant said, in order, not overlapping
     */
    public record MaskedChat(String text, List<JinjaTemplate.Span> targets) {
        public MaskedChat {
            targets = List.copyOf(targets);
        }
    }

    Rendering rendering(List<? extends Map<String, ?>> messages, @Nullable List<?> tools, boolean addGenerationPrompt) {
        Map<String, @Nullable Object> variables = new HashMap<>(specialTokens);
        variables.put("messages", messages);
        variables.put("tools", tools);
        variables.put("documents", null);
        variables.put("add_generation_prompt", addGenerationPrompt);
        return template.render(variables);
    }

    private String explain(JinjaException e) {
        return e.raisedByTemplate()
                ? "the chat template refuses the messages: " + e.getMessage().replaceAll("\\s*\\R\\s*", " ")
                        + "; change the order or roles of the messages"
                : origin + ": " + e.getMessage() + "; check the messages' fields against the template";
    }
}
