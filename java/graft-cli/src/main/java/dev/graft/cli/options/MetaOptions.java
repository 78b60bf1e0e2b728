package dev.graft.cli.options;

import dev.graft.common.InputException;
import dev.graft.engine.Precision;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.PeftAdapter;
import dev.graft.meta.Episodes;
import dev.graft.meta.InnerLoop;
import dev.graft.meta.InnerRule;
import dev.graft.meta.MetaAlgorithm;
import dev.graft.meta.MetaConfig;
import dev.graft.meta.OuterRule;
import dev.graft.model.ConfigReader;
import dev.graft.model.DecoderConfig;
import dev.graft.train.LearningRateSchedule;
import dev.graft.train.Method;
import dev.graft.train.TrainConfig;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The flags of {@code meta-train}. */
public final class MetaOptions {
    @Option(
            names = "--model",
            paramLabel = "DIR",
            required = true,
            description = "The base model, a Hugging Face folder.")
    private Path model = Path.of("");

    @Option(
            names = "--method",
            paramLabel = "lora|full",
            converter = MethodName.Converter.class,
            description = "What adapts to each task: an adapter on the frozen model, or every weight (default: lora).")
    private MethodName method = MethodName.LORA;

    @Mixin
    private final LoraOptions lora = new LoraOptions();

    @Option(
            names = "--algorithm",
            paramLabel = "NAME",
            description = "reptile, fomaml (first-order MAML) or maml, with second-order terms (default: reptile).")
    private String algorithm = "reptile";

    @Option(names = "--shots", paramLabel = "K", description = "Rows of a task that are adapted to (default: 8).")
    private int shots = 8;

    @Option(names = "--query", paramLabel = "N", description = "Other rows that judge the adaptation (default: 8).")
    private int query = 8;

    @Option(
            names = "--inner",
            paramLabel = "sgd|adam",
            description = "Rule of an inner step (default: adam; sgd with maml, which needs it).")
    private @Nullable String inner;

    @Option(names = "--inner-steps", paramLabel = "N", description = "Steps of adaptation to a task (default: 5).")
    private int innerSteps = 5;

    @Option(
            names = "--inner-lr",
            paramLabel = "X",
            description = "Their learning rate (default: 3e-3 with adam, 0.5 with sgd; a tenth with --method full).")
    private @Nullable Double innerLearningRate;

    @Option(
            names = "--inner-clip",
            paramLabel = "X",
            description = "Largest gradient norm of an inner step; 0 = off (default: 1).")
    private double innerClip = 1;

    @Option(
            names = "--outer",
            paramLabel = "sgd|adam",
            description = "Rule of a meta-step (default: sgd with reptile, else adam).")
    private @Nullable String outer;

    @Option(
            names = "--outer-lr",
            paramLabel = "X",
            description =
                    "Its learning rate (default: 1 with sgd, 1e-3 with adam; a tenth with adam and --method full).")
    private @Nullable Double outerLearningRate;

    @Option(
            names = "--outer-clip",
            paramLabel = "X",
            description =
                    "Largest norm of a meta-step's mean meta-gradient; 0 = off (default: 0 with reptile, else 1).")
    private @Nullable Double outerClip;

    @Option(
            names = "--schedule",
            paramLabel = "NAME",
            description = "Outer learning rate over the run: linear, cosine or constant (default: linear).")
    private String schedule = "linear";

    @Option(names = "--meta-steps", paramLabel = "N", description = "Updates of the start (default: 80).")
    private int metaSteps = 80;

    @Option(names = "--tasks-per-step", paramLabel = "N", description = "Tasks of a meta-step (default: 4).")
    private int tasksPerStep = 4;

    @Option(
            names = "--held-out",
            paramLabel = "N",
            description = "Tasks kept aside to measure adaptation on (default: one in five).")
    private @Nullable Integer heldOut;

    @Option(
            names = "--plain-steps",
            paramLabel = "N",
            description = "Steps that a plain start is given to catch up on them (default: 6 times --inner-steps).")
    private @Nullable Integer plainSteps;

    @Option(names = "--batch-size", paramLabel = "N", description = "Rows computed at once (default: 8).")
    private int batchSize = 8;

    @Option(names = "--seq-len", paramLabel = "N", description = "Longer rows are cut to N tokens (default: 1024).")
    private int seqLen = 1024;

    @Option(names = "--seed", paramLabel = "N", description = "Of A, the order of tasks and their splits (default: 0).")
    private long seed;

    @Mixin
    private final PrecisionOption precision = new PrecisionOption();

    /**
     * Checks the flags, and those of the adapter against the model's configuration.
     *
     * @throws InputException for the first thing that cannot be
     */
    public MetaRequest request() {
        MetaConfig meta = metaConfig();
        if (heldOut != null && heldOut < 0) {
            throw new InputException("--held-out " + heldOut + ": must be at least 0");
        }
        int limit = plainSteps == null ? 6 * innerSteps : plainSteps;
        if (limit < innerSteps) {
            throw new InputException("--plain-steps " + limit + ": must be at least --inner-steps, " + innerSteps);
        }
        if (meta.algorithm() == MetaAlgorithm.MAML && precision.value() == Precision.BF16) {
            throw new InputException("--algorithm maml takes second derivatives from small differences of gradients, "
                    + "which bf16 rounds away; give --precision f32, or use fomaml or reptile");
        }
        DecoderConfig config = ConfigReader.read(model);
        PeftAdapter start = method == MethodName.LORA ? lora.start() : null;
        Method trained = trained(config, start);
        if (trained instanceof Method.Lora adapter) {
            requireLearnable(adapter.config(), meta.algorithm());
        }
        TrainConfig train =
                TrainConfig.builder().batchSize(batchSize).seed(seed).build();
        return new MetaRequest(
                new TrainRequest(model, config, trained, start, train, precision.value(), seqLen, null),
                meta,
                heldOut,
                limit);
    }

    private Method trained(DecoderConfig config, @Nullable PeftAdapter start) {
        return switch (method) {
            case LORA -> lora.method(start, config);
            case ADAPTER ->
                throw new InputException(
                        "--method adapter: meta-train learns a start for lora or full; give one of them");
            case FULL -> {
                lora.requireUnused(method);
                yield new Method.Full();
            }
        };
    }

    private static void requireLearnable(LoraConfig adapter, MetaAlgorithm algorithm) {
        if (adapter.dropout() > 0) {
            throw new InputException("--dropout " + adapter.dropout() + ": meta-training has none; give --dropout 0");
        }
        if (adapter.init().changesBase()) {
            throw new InputException("--init " + adapter.init() + " changes the base and is saved as LoRA of twice the"
                    + " rank, which is not the start that was learned; use gaussian or kaiming");
        }
        if (adapter.useDora() && algorithm == MetaAlgorithm.MAML) {
            throw new InputException("--algorithm maml with --dora: DoRA takes the lengths of rows as constants, so its"
                    + " gradient is of no function and has no second-order terms; use fomaml or reptile");
        }
    }

    private MetaConfig metaConfig() {
        MetaAlgorithm chosen = MetaAlgorithm.parse(algorithm);
        InnerRule innerRule =
                inner != null ? InnerRule.parse(inner) : chosen == MetaAlgorithm.MAML ? InnerRule.SGD : InnerRule.ADAM;
        OuterRule outerRule = outer != null
                ? OuterRule.parse(outer)
                : chosen == MetaAlgorithm.REPTILE ? OuterRule.SGD : OuterRule.ADAM;
        return new MetaConfig(
                chosen,
                new InnerLoop(innerRule, innerSteps, innerLearningRate(innerRule), innerClip),
                outerRule,
                outerLearningRate(outerRule),
                outerClip != null ? outerClip : chosen == MetaAlgorithm.REPTILE ? 0 : 1,
                LearningRateSchedule.parse(schedule),
                metaSteps,
                tasksPerStep,
                new Episodes(shots, query, seed));
    }

    private double innerLearningRate(InnerRule rule) {
        if (innerLearningRate != null) {
            return innerLearningRate;
        }
        double ofAdapters = rule == InnerRule.SGD ? 0.5 : 3e-3;
        return method == MethodName.FULL ? ofAdapters / 10 : ofAdapters;
    }

    private double outerLearningRate(OuterRule rule) {
        if (outerLearningRate != null) {
            return outerLearningRate;
        }
        if (rule == OuterRule.SGD) {
            return 1;
        }
        return method == MethodName.FULL ? 1e-4 : 1e-3;
    }
}
