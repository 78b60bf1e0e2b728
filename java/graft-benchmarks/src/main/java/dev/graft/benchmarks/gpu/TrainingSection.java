package dev.graft.benchmarks.gpu;

import com.fasterxml.jackson.annotation.JsonInclude;
import dev.graft.common.InputException;
import dev.graft.data.Example;
import dev.graft.engine.Engine;
import dev.graft.engine.EngineProvider;
import dev.graft.engine.Engines;
import dev.graft.engine.Precision;
import dev.graft.lora.LoraConfig;
import dev.graft.model.DecoderConfig;
import dev.graft.model.LoraModel;
import dev.graft.model.PretrainedModel;
import dev.graft.train.StepMetrics;
import dev.graft.train.TrainConfig;
import dev.graft.train.Trainer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A short run with dropout on a small model: as on the CPU, the same bits when run again, W0 untouched.
 */
final class TrainingSection implements Section {
    private static final double LOSS_BOUND = 1e-4;
    private static final long SEED = 7;

    /** The run. */
    private record Setup(DecoderConfig config, int batch, int seq, int steps) {}

    /** How one ended. */
    private record Run(double[] losses, float[] trained, boolean frozenUnchanged) {
        boolean isSameBitsAs(Run other) {
            return Arrays.equals(losses, other.losses) && Arrays.equals(trained, other.trained);
        }
    }

    /**
     * One precision.
     *
     * @param sameBits whether a second run had the same losses and ended with the same A and B, bit for bit
     * @param frozenUnchanged whether the fingerprint of W0 on the device was the same before and after
     * @param lossDifference the largest relative difference from the CPU engine's float32 losses; absent without that engine
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Outcome(
            String precision,
            double firstLoss,
            double lastLoss,
            boolean sameBits,
            boolean frozenUnchanged,
            @Nullable Double lossDifference) {}

    /**
     * All of it.
     *
     * @param passed same bits and W0 unchanged in both precisions, float32 losses within 1e-4 of the CPU's
     */
    record Result(boolean passed, String model, int steps, String reference, List<Outcome> outcomes)
            implements Verdict {}

    @Override
    public String name() {
        return "training";
    }

    @Override
    public boolean opensEngines() {
        return true;
    }

    @Override
    public Result run(Verification verification) {
        Setup setup = verification.effort() == Effort.TINY
                ? new Setup(TinyDecoder.config(2, 64, 96, 64), 2, 32, 8)
                : new Setup(TinyDecoder.config(3, 256, 512, 1024), 4, 96, 20);
        Optional<EngineProvider> cpu = Engines.providers().stream()
                .filter(provider -> provider.name().equals("cpu"))
                .filter(provider -> provider.unavailableReason().isEmpty())
                .findFirst();
        Run reference = cpu.map(provider -> {
                    try (Engine engine = provider.open(0)) {
                        return train(engine, setup, Precision.F32);
                    }
                })
                .orElse(null);
        List<Outcome> outcomes = new ArrayList<>();
        for (Precision precision : Precision.values()) {
            outcomes.add(outcome(verification.target(), setup, precision, reference));
        }
        Double f32Difference = outcomes.getFirst().lossDifference;
        boolean passed = outcomes.stream().allMatch(outcome -> outcome.sameBits && outcome.frozenUnchanged)
                && (f32Difference == null || f32Difference <= LOSS_BOUND);
        DecoderConfig config = setup.config;
        return new Result(
                passed,
                config.layers() + " layers of " + config.hiddenSize() + ", batch " + setup.batch + " x " + setup.seq,
                setup.steps,
                cpu.isPresent() ? "cpu" : "none: no CPU engine here",
                outcomes);
    }

    private static Outcome outcome(Target target, Setup setup, Precision precision, @Nullable Run reference) {
        Run first = train(target, setup, precision);
        Run second = train(target, setup, precision);
        return new Outcome(
                precision.name(),
                first.losses[0],
                first.losses[first.losses.length - 1],
                first.isSameBitsAs(second),
                first.frozenUnchanged && second.frozenUnchanged,
                reference == null ? null : largestDifference(first.losses, reference.losses));
    }

    private static double largestDifference(double[] losses, double[] expected) {
        double largest = 0;
        for (int i = 0; i < losses.length; i++) {
            largest = Math.max(largest, Math.abs(losses[i] - expected[i]) / Math.abs(expected[i]));
        }
        return largest;
    }

    private static Run train(Target target, Setup setup, Precision precision) {
        try (Engine engine = target.open(Variant.USUAL)) {
            return train(engine, setup, precision);
        }
    }

    private static Run train(Engine engine, Setup setup, Precision precision) {
        if (!engine.supports(precision)) {
            throw new InputException("--engine " + engine.name() + ": no " + precision + " here");
        }
        try (PretrainedModel base = PretrainedModel.random(setup.config, engine, precision, SEED)) {
            long fingerprint = base.residentFingerprint();
            LoraModel model = base.attach(
                    LoraConfig.builder().rank(8).alpha(16).dropout(0.1).build(), SEED);
            List<StepMetrics> steps = new ArrayList<>();
            TrainConfig config = TrainConfig.builder()
                    .batchSize(setup.batch)
                    .steps(setup.steps)
                    .learningRate(1e-3)
                    .seed(SEED)
                    .build();
            try (Trainer trainer = new Trainer(model, rows(setup), null, config)) {
                trainer.train(steps::add);
            }
            return new Run(
                    steps.stream().mapToDouble(StepMetrics::loss).toArray(),
                    engine.download(model.parameters().values()),
                    base.residentFingerprint() == fingerprint);
        }
    }

    /** Rows of several lengths, in which a token says which one comes next. */
    private static List<Example> rows(Setup setup) {
        SplittableRandom random = new SplittableRandom(SEED);
        int vocabulary = setup.config.vocabSize();
        return Stream.generate(() -> {
                    int[] ids = new int[random.nextInt(setup.seq / 2, setup.seq + 1)];
                    ids[0] = random.nextInt(vocabulary);
                    for (int i = 1; i < ids.length; i++) {
                        ids[i] = (ids[i - 1] * 5 + 3) % vocabulary;
                    }
                    return new Example(ids, ids);
                })
                .limit(2L * setup.batch)
                .toList();
    }
}
