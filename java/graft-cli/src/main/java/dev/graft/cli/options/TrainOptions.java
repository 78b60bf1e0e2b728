package dev.graft.cli.options;

import dev.graft.common.InputException;
import dev.graft.lora.PeftAdapter;
import dev.graft.model.ConfigReader;
import dev.graft.model.DecoderConfig;
import dev.graft.train.LearningRateSchedule;
import dev.graft.train.Method;
import dev.graft.train.TrainConfig;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The flags of {@code train}, which {@code plan} takes too. */
public final class TrainOptions {
    @Option(
            names = "--model",
            paramLabel = "DIR",
            required = true,
            description = "The base model, a Hugging Face folder.")
    private Path model = Path.of("");

    @Option(
            names = "--method",
            paramLabel = "lora|adapter|full",
            converter = MethodName.Converter.class,
            description =
                    "What is trained: a low-rank adapter on the frozen model, bottleneck modules between its layers, "
                            + "or every weight (default: lora).")
    private MethodName method = MethodName.LORA;

    @Mixin
    private final LoraOptions lora = new LoraOptions();

    @Mixin
    private final BottleneckOptions bottleneck = new BottleneckOptions();

    @Option(names = "--epochs", paramLabel = "N", description = "Passes over the data (default: 1).")
    private @Nullable Integer epochs;

    @Option(names = "--steps", paramLabel = "N", description = "Optimizer steps, instead of --epochs.")
    private @Nullable Integer steps;

    @Option(names = "--batch-size", paramLabel = "N", description = "Rows of a micro-batch (default: 4).")
    private int batchSize = 4;

    @Option(names = "--grad-accum", paramLabel = "N", description = "Micro-batches of a step (default: 1).")
    private int gradAccum = 1;

    @Option(
            names = "--gradient-checkpointing",
            description =
                    "Keep each layer's input alone and compute the rest again in backward: less memory, more time, "
                            + "the same result.")
    private boolean gradientCheckpointing;

    @Option(names = "--seq-len", paramLabel = "N", description = "Longer rows are cut to N tokens (default: 1024).")
    private int seqLen = 1024;

    @Option(
            names = "--lr",
            paramLabel = "X",
            description = "Peak learning rate (default: 2e-4; 1e-3 with --method adapter, 2e-5 with full).")
    private @Nullable Double learningRate;

    @Option(
            names = "--schedule",
            paramLabel = "NAME",
            description = "Learning rate over the run: cosine, linear or constant (default: cosine).")
    private String schedule = "cosine";

    @Option(names = "--warmup-steps", paramLabel = "N", description = "Steps of linear warm-up (default: 0).")
    private int warmupSteps;

    @Option(names = "--weight-decay", paramLabel = "X", description = "AdamW's weight decay (default: 0).")
    private double weightDecay;

    @Option(
            names = "--lora-plus-ratio",
            paramLabel = "X",
            description = "LoRA+: B learns X times as fast as A, whose rate is --lr; 16 is usual (default: 1).")
    private double loraPlusRatio = 1;

    @Option(names = "--beta1", paramLabel = "X", description = "AdamW's beta1 (default: 0.9).")
    private double beta1 = 0.9;

    @Option(names = "--beta2", paramLabel = "X", description = "AdamW's beta2 (default: 0.999).")
    private double beta2 = 0.999;

    @Option(names = "--eps", paramLabel = "X", description = "AdamW's epsilon (default: 1e-8).")
    private double epsilon = 1e-8;

    @Option(names = "--clip-norm", paramLabel = "X", description = "Largest gradient norm; 0 = off (default: 1).")
    private double clipNorm = 1;

    @Option(names = "--seed", paramLabel = "N", description = "Of A, shuffling and dropout (default: 0).")
    private long seed;

    @Option(names = "--no-shuffle", description = "Batches are consecutive lines of the data.")
    private boolean noShuffle;

    @Mixin
    private final PrecisionOption precision = new PrecisionOption();

    @Option(names = "--eval-data", paramLabel = "FILE", description = "Rows to evaluate on.")
    private @Nullable Path evalData;

    @Option(
            names = "--eval-every",
            paramLabel = "N",
            description = "Steps between evaluations (default: at the end only).")
    private @Nullable Integer evalEvery;

    @Option(names = "--save-every", paramLabel = "N", description = "Steps between checkpoints (default: none).")
    private int saveEvery;

    /**
     * Checks the flags, and those of the adapter against the model's configuration.
     *
     * @throws InputException for the first thing that cannot be
     */
    public TrainRequest request() {
        TrainConfig train = trainConfig();
        DecoderConfig config = ConfigReader.read(model);
        PeftAdapter start = method == MethodName.LORA ? lora.start() : null;
        return new TrainRequest(
                model, config, method(config, start), start, train, precision.value(), seqLen, evalData);
    }

    private Method method(DecoderConfig config, @Nullable PeftAdapter start) {
        if (method != MethodName.LORA) {
            lora.requireUnused(method);
        }
        if (method != MethodName.ADAPTER) {
            bottleneck.requireUnused(method);
        }
        return switch (method) {
            case LORA -> lora.method(start, config);
            case ADAPTER -> {
                requireNoB();
                yield bottleneck.method(lora.initAdapter(), config);
            }
            case FULL -> {
                requireNoB();
                yield new Method.Full();
            }
        };
    }

    private void requireNoB() {
        if (loraPlusRatio != 1) {
            throw new InputException("--lora-plus-ratio " + loraPlusRatio
                    + " is for --method lora, which has an A and a B; leave it out");
        }
    }

    private double learningRate() {
        if (learningRate != null) {
            return learningRate;
        }
        return switch (method) {
            case LORA -> 2e-4;
            case ADAPTER -> 1e-3;
            case FULL -> 2e-5;
        };
    }

    private TrainConfig trainConfig() {
        if (epochs != null && steps != null) {
            throw new InputException("--epochs and --steps both say how long to train; give one of them");
        }
        if (steps != null && steps < 1) {
            throw new InputException("--steps " + steps + ": must be at least 1");
        }
        if (evalEvery != null && evalData == null) {
            throw new InputException("--eval-every needs --eval-data, the rows to evaluate on");
        }
        return TrainConfig.builder()
                .epochs(epochs == null ? 1 : epochs)
                .steps(steps == null ? 0 : steps)
                .batchSize(batchSize)
                .gradAccum(gradAccum)
                .learningRate(learningRate())
                .schedule(LearningRateSchedule.parse(schedule))
                .warmupSteps(warmupSteps)
                .weightDecay(weightDecay)
                .beta1(beta1)
                .beta2(beta2)
                .epsilon(epsilon)
                .clipNorm(clipNorm)
                .seed(seed)
                .shuffle(!noShuffle)
                .evalEvery(evaluationInterval())
                .saveEvery(saveEvery)
                .loraPlusRatio(loraPlusRatio)
                .gradientCheckpointing(gradientCheckpointing)
                .build();
    }

    private int evaluationInterval() {
        if (evalData == null) {
            return 0;
        }
        // an interval that no step reaches leaves the evaluation after the last one
        return evalEvery == null ? Integer.MAX_VALUE : evalEvery;
    }
}
