package dev.graft.testing;

import dev.graft.data.Example;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.lora.LoraAdapter;
import dev.graft.model.Architecture;
import dev.graft.model.DecoderConfig;
import dev.graft.model.FullModel;
import dev.graft.model.TokenBatch;
import dev.graft.nn.FlatParameters;
import dev.graft.nn.Rope;
import dev.graft.nn.RopeScaling;
import dev.graft.tensor.DType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Random models of a few thousand parameters, and rows to train them on. Every weight is random: also biases and norms. */
public final class TinyModels {
    public static final int VOCABULARY = 37;

    private TinyModels() {}

    /** Two layers, grouped queries, heads that together are wider than the hidden state. */
    public static DecoderConfig config(Architecture architecture) {
        return config(architecture, false, List.of(0, 0));
    }

    /** With biases wherever the architecture can have them. */
    public static DecoderConfig config(Architecture architecture, boolean tied, List<Integer> windows) {
        boolean llama = architecture == Architecture.LLAMA;
        return new DecoderConfig(
                architecture,
                VOCABULARY,
                20,
                28,
                windows.size(),
                4,
                2,
                6,
                1e-5f,
                new Rope(100, 6, new RopeScaling.None()),
                512,
                tied,
                llama || architecture == Architecture.QWEN2,
                llama,
                llama,
                architecture == Architecture.QWEN3,
                windows,
                List.of());
    }

    /** A model with all weights trainable. */
    public static FullModel full(DecoderConfig config, Engine engine, Precision precision, DType stored, long seed) {
        FullModel model = FullModel.random(config, engine, precision, stored, seed);
        Random random = new Random(seed);
        for (FlatParameters.Slot slot : model.parameters().slots()) {
            boolean norm = slot.name().endsWith("norm.weight");
            float[] values = normal(random, slot.size(), norm ? 0.2f : 0.25f);
            for (int i = 0; norm && i < values.length; i++) {
                values[i] += 1;
            }
            engine.upload(values, model.parameters().value(slot));
        }
        model.parameters().refresh(engine);
        return model;
    }

    /** Writes a checkpoint folder. */
    public static Path write(Path folder, DecoderConfig config, Engine engine, DType stored, long seed) {
        try (FullModel model = full(config, engine, Precision.F32, stored, seed)) {
            model.save(folder);
        }
        return folder;
    }

    /** Sets all of A and B to random numbers, and saved weights to others than the base's, so that every gradient counts. */
    public static void randomise(LoraAdapter adapter, Engine engine, long seed) {
        Random random = new Random(seed);
        for (FlatParameters.Slot slot : adapter.parameters().slots()) {
            float[] values = normal(random, slot.size(), 0.3f);
            for (int i = 0; slot.name().endsWith("norm.weight") && i < values.length; i++) {
                values[i] += 1;
            }
            engine.upload(values, adapter.parameters().value(slot));
        }
        adapter.parameters().refresh(engine);
    }

    /** Rows of 3 to {@code longest} tokens, about a third of their labels masked. */
    public static List<Example> rows(int count, int longest, long seed) {
        Random random = new Random(seed);
        List<Example> rows = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int length = 3 + random.nextInt(longest - 2);
            int[] ids = random.ints(length, 0, VOCABULARY).toArray();
            int[] labels = ids.clone();
            for (int t = 1; t < length - 1; t++) {
                labels[t] = random.nextInt(3) == 0 ? Example.MASKED : labels[t];
            }
            rows.add(new Example(ids, labels));
        }
        return rows;
    }

    public static TokenBatch pack(List<Example> rows) {
        return TokenBatch.pack(
                rows.stream().map(Example::inputIds).toList(),
                rows.stream().map(Example::labels).toList());
    }

    public static float[] normal(Random random, int count, float std) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) (random.nextGaussian() * std);
        }
        return values;
    }
}
