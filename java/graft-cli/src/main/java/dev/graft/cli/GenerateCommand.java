package dev.graft.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.cli.console.Console;
import dev.graft.cli.console.Units;
import dev.graft.cli.options.EngineOptions;
import dev.graft.cli.options.ModelOptions;
import dev.graft.cli.options.OutputOptions;
import dev.graft.cli.options.PromptOptions;
import dev.graft.cli.run.ModelText;
import dev.graft.cli.run.OpenModel;
import dev.graft.cli.run.PeakMemory;
import dev.graft.cli.run.TokenPrinter;
import dev.graft.cli.run.TokenTimes;
import dev.graft.common.InputException;
import dev.graft.engine.Engine;
import dev.graft.io.Json;
import dev.graft.model.ConfigReader;
import dev.graft.model.Generator;
import dev.graft.model.Sampling;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code graft generate}: continues a text, token by token. */
@Command(
        name = "generate",
        customSynopsis = "graft generate --model DIR [--adapter DIR] --prompt TEXT [OPTION]...",
        description = "Continues a text; it streams to standard output.",
        footer = {
            "  graft generate --model DIR --prompt \"The capital of France is\"",
            "  graft generate --model DIR --adapter adapter --chat --prompt \"Who are you?\"",
            "  graft generate --model DIR --prompt \"Once\" --temperature 0.7 --top-p 0.9 --seed 1",
            "  cat question.txt | graft generate --model DIR --prompt-file -"
        })
final class GenerateCommand extends BaseCommand {
    @Mixin
    private final ModelOptions options = new ModelOptions();

    @ArgGroup(multiplicity = "1")
    private PromptOptions prompt = new PromptOptions();

    @Option(names = "--chat", description = "The prompt is a user's message; the model's chat template applies.")
    private boolean chat;

    @Option(names = "--system", paramLabel = "TEXT", description = "With --chat: the system message before it.")
    private @Nullable String system;

    @Option(names = "--max-new-tokens", paramLabel = "N", description = "Tokens to add at most (default: 128).")
    private int maxNewTokens = 128;

    @Option(names = "--temperature", paramLabel = "X", description = "0 takes the likeliest token (default: 0).")
    private double temperature;

    @Option(names = "--top-k", paramLabel = "K", description = "Choose among the K likeliest; 0 = all (default: 0).")
    private int topK;

    @Option(
            names = "--top-p",
            paramLabel = "P",
            description = "Choose among the likeliest that make up probability P (default: 1).")
    private double topP = 1;

    @Option(names = "--seed", paramLabel = "N", description = "Of the choice of tokens (default: 0).")
    private long seed;

    @Mixin
    private final EngineOptions engineOptions = new EngineOptions();

    @Mixin
    private final OutputOptions output = new OutputOptions();

    GenerateCommand(Console console) {
        super(console);
    }

    @Override
    int run() {
        if (maxNewTokens < 1) {
            throw new InputException("--max-new-tokens " + maxNewTokens + ": must be at least 1");
        }
        if (system != null && !chat) {
            throw new InputException("--system is a part of a conversation; give --chat too");
        }
        Sampling sampling = new Sampling(temperature, topK, topP, seed);
        Set<Integer> endTokens =
                new HashSet<>(ConfigReader.read(options.model()).endTokens());
        try (ModelText text = new ModelText(options.model())) {
            int[] ids = prompt.ids();
            if (ids == null) {
                ids = encode(text, prompt.text());
                for (int id : text.tokenizer().eosIds()) {
                    endTokens.add(id);
                }
            } else if (chat) {
                throw new InputException("--chat needs a text; give --prompt instead of --input-ids");
            }
            TokenPrinter printer =
                    prompt.ids() == null ? TokenPrinter.texts(text.tokenizer().streamDecoder(ids)) : TokenPrinter.ids();
            generate(ids, sampling, endTokens, printer);
            return EXIT_OK;
        }
    }

    private int[] encode(ModelText text, String typed) {
        if (!chat) {
            return text.tokenizer().encode(typed, true);
        }
        List<Map<String, String>> messages = new ArrayList<>();
        if (system != null) {
            messages.add(Map.of("role", "system", "content", system));
        }
        messages.add(Map.of("role", "user", "content", typed));
        // the template writes the special tokens itself
        return text.tokenizer().encode(text.template().render(messages, true), false);
    }

    private void generate(int[] ids, Sampling sampling, Set<Integer> endTokens, TokenPrinter printer) {
        List<Integer> tokens = new ArrayList<>();
        StringBuilder whole = new StringBuilder();
        try (Engine engine = engineOptions.open();
                OpenModel opened = OpenModel.open(
                        options.model(), options.adapter(), engine, options.precision(), options.isForced());
                Generator generator = new Generator(opened.model(), Math.addExact(ids.length, maxNewTokens))) {
            TokenTimes times = TokenTimes.start();
            Generator.Stop stop = generator.generate(ids, maxNewTokens, sampling, endTokens, token -> {
                times.token();
                tokens.add(token);
                show(printer.next(token), whole);
                return true;
            });
            show(printer.finish(), whole);
            report(ids.length, tokens, whole.toString(), times, stop);
        }
    }

    private void show(String piece, StringBuilder whole) {
        whole.append(piece);
        if (!output.isJson()) {
            console().resultPart(piece);
        }
    }

    private void report(int promptTokens, List<Integer> tokens, String text, TokenTimes times, Generator.Stop stop) {
        String reason = stop.name().toLowerCase(Locale.ROOT);
        double tokensPerSecond = times.tokensPerSecond();
        if (output.isJson()) {
            ObjectNode json = Json.mapper().createObjectNode();
            json.put("text", prompt.ids() == null ? text : null);
            ArrayNode ids = json.putArray("ids");
            tokens.forEach(ids::add);
            json.put("prompt_tokens", promptTokens);
            json.put("tokens_per_second", tokensPerSecond);
            json.put("first_token_ms", TokenTimes.orNull(times.firstTokenMillis()));
            json.put("token_ms", TokenTimes.orNull(times.tokenMillis()));
            OptionalLong peak = PeakMemory.bytes();
            json.put("peak_rss_bytes", peak.isPresent() ? (Long) peak.getAsLong() : null);
            json.put("stop", reason);
            console().result(json);
            return;
        }
        console().result("");
        console()
                .info(Units.counted(tokens.size(), "token") + " after " + Units.count(promptTokens) + ", "
                        + Units.fixed(tokensPerSecond, 1) + " tokens/s, stopped by " + reason.replace('_', ' '));
    }
}
