package dev.graft.train;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.data.Example;
import dev.graft.io.Json;
import dev.graft.lora.AdapterInit;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.PeftAdapter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A reference run of PEFT on a tiny random model, made by {@code scripts/reference/make_parity_fixtures.py}.
 *
 * @param expected what PyTorch and PEFT computed
 */
public record ParityCase(Path folder, JsonNode expected) {
    /** Both this module's tests and those of the engine modules beside it run in their module's folder. */
    private static final Path ROOT = Path.of("../graft-core/src/test/resources/parity");

    /** All cases. */
    public static Stream<ParityCase> all() {
        try (Stream<Path> folders = Files.list(ROOT)) {
            return folders.sorted().toList().stream().map(ParityCase::read);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** One case by its name. */
    public static ParityCase named(String name) {
        return read(ROOT.resolve(name));
    }

    private static ParityCase read(Path folder) {
        return new ParityCase(folder, Json.read(folder.resolve("expected.json")));
    }

    public Path model() {
        return folder.resolve("model");
    }

    public Path initialAdapter() {
        return folder.resolve("adapter_init");
    }

    public Path finalAdapter() {
        return folder.resolve("adapter_final");
    }

    /** The start by which A and B took over a part of the base; null where they start as {@link #initialAdapter}. */
    public @Nullable AdapterInit init() {
        JsonNode init = expected.path("init_lora_weights");
        return init.isMissingNode() ? null : AdapterInit.parse(init.asText());
    }

    /** The adapter's configuration, with {@link #init} where there is one. */
    public LoraConfig lora() {
        LoraConfig saved = PeftAdapter.read(initialAdapter()).config();
        return LoraConfig.builder()
                .rank(saved.rank())
                .alpha(saved.alpha())
                .targets(saved.targets())
                .exclude(saved.exclude())
                .rankPattern(saved.rankPattern())
                .alphaPattern(saved.alphaPattern())
                .rsLora(saved.rsLora())
                .init(Objects.requireNonNullElse(init(), saved.init()))
                .build();
    }

    /** The training rows. */
    public List<Example> data() {
        try {
            List<Example> rows = new ArrayList<>();
            for (String line : Files.readAllLines(folder.resolve("data.jsonl"))) {
                JsonNode row = Json.parse(line, folder.toString());
                rows.add(new Example(ints(row.path("input_ids")), ints(row.path("labels"))));
            }
            return rows;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The flags of the reference run. */
    public TrainConfig config() {
        JsonNode train = expected.path("train");
        return TrainConfig.builder()
                .batchSize(train.path("batch_size").asInt())
                .gradAccum(train.path("grad_accum").asInt())
                .steps(train.path("steps").asInt())
                .learningRate(train.path("lr").asDouble())
                .schedule(LearningRateSchedule.parse(train.path("schedule").asText()))
                .warmupSteps(train.path("warmup_steps").asInt())
                .weightDecay(train.path("weight_decay").asDouble())
                .clipNorm(train.path("clip_norm").asDouble())
                .loraPlusRatio(train.path("lora_plus_ratio").asDouble(1))
                .shuffle(false)
                .build();
    }

    public double number(String field) {
        return expected.path(field).asDouble();
    }

    public static int[] ints(JsonNode array) {
        int[] values = new int[array.size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = array.get(i).asInt();
        }
        return values;
    }

    /** The case's name, as test reports show it. */
    @Override
    public String toString() {
        return folder.getFileName().toString();
    }
}
