package dev.graft.cli;

import dev.graft.cli.console.Console;
import dev.graft.cli.console.Units;
import dev.graft.cli.options.EngineOptions;
import dev.graft.cli.options.MetaOptions;
import dev.graft.cli.options.MetaRequest;
import dev.graft.cli.options.OutputOptions;
import dev.graft.cli.options.TrainRequest;
import dev.graft.cli.run.Interrupts;
import dev.graft.cli.run.MetaProgress;
import dev.graft.cli.run.MetaReport;
import dev.graft.cli.run.MetaTasks;
import dev.graft.cli.run.ModelText;
import dev.graft.cli.run.OpenTrainable;
import dev.graft.cli.run.OutputFolder;
import dev.graft.cli.tasks.TaskFamily;
import dev.graft.common.InputException;
import dev.graft.cpu.CpuEngine;
import dev.graft.engine.Engine;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.MemoryPlan;
import dev.graft.engine.Precision;
import dev.graft.io.Checkpoint;
import dev.graft.meta.Adaptation;
import dev.graft.meta.Episodes;
import dev.graft.meta.MetaAlgorithm;
import dev.graft.meta.MetaConfig;
import dev.graft.meta.MetaTrainer;
import dev.graft.meta.ModelObjectives;
import dev.graft.meta.StartComparison;
import dev.graft.model.PretrainedModel;
import dev.graft.train.TrainingPlan;
import dev.graft.train.TrainingSize;
import java.nio.file.Path;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code graft meta-train}: a start from which a few steps adapt to a new task. */
@Command(
        name = "meta-train",
        customSynopsis = "graft meta-train --model DIR --tasks DIR --out DIR [OPTION]...",
        description = {
            "Learns, over many tasks, values of A and B from which a few steps adapt to a new task: an adapter to start from",
            "(train --init-adapter). With --method full it learns all weights instead: a model to start from."
        },
        footer = {
            "  graft meta-train --model DIR --tasks tasks/ --shots 8 --out start",
            "  graft meta-train --model DIR --tasks tasks/ --algorithm maml --precision f32 --out start",
            "  graft meta-train --model task/base --tasks generated:extract --out start    # see graft tasks",
            "  graft train --model DIR --data new-task.jsonl --init-adapter start --out adapter",
            "",
            "Each .jsonl file in --tasks is a task; its lines are those of train."
        })
final class MetaTrainCommand extends BaseCommand {
    @Mixin
    private final MetaOptions options = new MetaOptions();

    @Option(
            names = "--tasks",
            paramLabel = "DIR",
            required = true,
            description = "A folder with a data file for each task; or generated, or generated:KIND,KIND, the tasks of "
                    + "graft tasks, whose test split is held out.")
    private String source = "";

    @Option(names = "--task-count", paramLabel = "N", description = "Generated tasks to learn from (default: 60).")
    private int taskCount = 60;

    @Option(names = "--out", paramLabel = "DIR", required = true, description = "Where the learned start goes.")
    private Path out = Path.of("");

    @Option(
            names = "--force",
            description = "Overwrite what an earlier run left in --out; take an --init-adapter of another base.")
    private boolean force;

    @Mixin
    private final EngineOptions engineOptions = new EngineOptions();

    @Mixin
    private final OutputOptions output = new OutputOptions();

    MetaTrainCommand(Console console) {
        super(console);
    }

    @Override
    int run() {
        MetaRequest request = options.request();
        TrainRequest train = request.train();
        OutputFolder folder = OutputFolder.of(out, train);
        folder.requireFree(force);
        MetaTasks tasks = readTasks(request);
        TrainingSize size = TrainingSize.of(tasks.rows(), null, train.train().batchSize());
        try (Engine engine = engineOptions.open(train.method())) {
            Precision precision = PretrainedModel.supported(engine, train.precision());
            checkMemory(request, engine, precision, size, !tasks.heldOut().isEmpty());
            folder.requireWritable();
            folder.deleteCheckpoints(console());
            try (OpenTrainable open = OpenTrainable.open(train, engine, precision, force);
                    ModelObjectives objectives = new ModelObjectives(
                            open.model(), size, train.train().batchSize())) {
                return learn(open, objectives, tasks, request, folder);
            }
        }
    }

    private MetaTasks readTasks(MetaRequest request) {
        TrainRequest train = request.train();
        Episodes episodes = request.meta().episodes();
        TaskFamily family = MetaTasks.family(source);
        if (taskCount < 1) {
            throw new InputException("--task-count " + taskCount + ": must be at least 1");
        }
        MetaTasks tasks;
        try (ModelText text = new ModelText(train.model())) {
            tasks = family == null
                    ? MetaTasks.read(
                            Path.of(source),
                            text,
                            train.seqLen(),
                            train.config().vocabSize(),
                            episodes,
                            request.heldOut())
                    : MetaTasks.draw(family, text.tokenizer(), episodes, taskCount, request.heldOut());
        }
        console()
                .note(Units.counted(tasks.learned().size(), "task") + " to learn from, "
                        + tasks.heldOut().size() + " kept aside");
        return tasks;
    }

    private void checkMemory(
            MetaRequest request, Engine engine, Precision precision, TrainingSize size, boolean comparing) {
        TrainRequest train = request.train();
        try (Checkpoint checkpoint = Checkpoint.open(train.model())) {
            TrainingPlan plan =
                    TrainingPlan.ofGradients(engine, checkpoint, train.config(), precision, train.method(), size);
            TrainingPlan whole = engine.name().equals(CpuEngine.NAME) // other engines have memory of their own
                    ? plan.plus(hostVectors(request.meta(), plan, comparing))
                    : plan;
            console()
                    .note("memory: " + Units.bytes(whole.allocatedBytes()) + " of "
                            + Units.bytes(engine.availableBytes()) + " available");
            whole.requireFits(
                    engine,
                    "use a smaller --batch-size, which computes the same, or a smaller --seq-len"
                            + (request.meta().algorithm() == MetaAlgorithm.MAML ? ", or fewer --inner-steps" : ""));
            plan.reserve(engine);
        }
    }

    /** What meta-learning holds in the process's own memory beside the model: vectors as long as the gradients. */
    private static MemoryPlan hostVectors(MetaConfig meta, TrainingPlan plan, boolean comparing) {
        int plainStart = 1; // kept to the end, and one of those that a comparison needs
        long vectors =
                MetaTrainer.hostVectors(meta) + (comparing ? StartComparison.hostVectors(meta.inner()) : plainStart);
        long bytes = plan.buffers().bytesByKind().getOrDefault(MemoryKind.GRADIENTS, 0L);
        return new MemoryPlan.Builder()
                .add(MemoryKind.OPTIMIZER, "vectors of meta-learning", vectors * bytes)
                .build();
    }

    private int learn(
            OpenTrainable open, ModelObjectives objectives, MetaTasks tasks, MetaRequest request, OutputFolder folder) {
        float[] plain = objectives.values();
        MetaTrainer trainer = new MetaTrainer(objectives, tasks.learned(), request.meta());
        try (MetaProgress progress = new MetaProgress(console(), out)) {
            MetaTrainer.Result result = runToEnd(trainer, progress);
            open.model().save(out);
            folder.deleteOtherWeights(Set.of(open.weightsFile()));
            if (!result.completed()) {
                console()
                        .info("stopped after meta-step " + result.steps() + " of "
                                + request.meta().metaSteps() + "; what was learned so far is in " + out);
                return Interrupts.EXIT_CODE;
            }
            StartComparison comparison = compare(objectives, tasks, trainer.values(), plain, request);
            MetaReport report = new MetaReport(request, tasks, progress, comparison, out);
            if (output.isJson()) {
                console().result(report.json());
            } else {
                report.lines().forEach(console()::result);
            }
            return EXIT_OK;
        }
    }

    private MetaTrainer.Result runToEnd(MetaTrainer trainer, MetaProgress progress) {
        Interrupts interrupts = Interrupts.handle(() -> {
            console().info("stopping after this meta-step and saving what was learned; again to stop at once");
            trainer.requestStop();
        });
        try {
            return trainer.train(progress);
        } finally {
            interrupts.close();
            console().endLive();
        }
    }

    private @Nullable StartComparison compare(
            ModelObjectives objectives, MetaTasks tasks, float[] learned, float[] plain, MetaRequest request) {
        if (tasks.heldOut().isEmpty()) {
            return null;
        }
        console()
                .note("adapting to " + Units.counted(tasks.heldOut().size(), "held-out task")
                        + " from the learned start and from the plain one");
        Adaptation adaptation = new Adaptation(objectives, tasks.heldOut());
        return StartComparison.measure(
                adaptation, learned, plain, request.meta().inner(), request.plainSteps());
    }
}
