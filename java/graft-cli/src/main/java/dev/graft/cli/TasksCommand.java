package dev.graft.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.cli.console.Console;
import dev.graft.cli.console.Table;
import dev.graft.cli.options.OutputOptions;
import dev.graft.cli.tasks.FewShotTask;
import dev.graft.cli.tasks.TaskKind;
import dev.graft.cli.world.EmbeddedBase;
import dev.graft.cli.world.Exercise;
import dev.graft.common.InputException;
import dev.graft.io.AtomicFiles;
import dev.graft.io.Json;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code graft tasks}: the few-shot tasks for the embedded base model. */
@Command(
        name = "tasks",
        customSynopsis = {"graft tasks --out DIR [OPTION]...", "       graft tasks --list [--json]"},
        description = {
            "Writes a small task for the embedded base model: train.jsonl with a few examples to learn from and held-out.jsonl",
            "to be judged by. No answer of one is in the other; where answers are few, no fact or list."
        },
        footer = {
            "  graft tasks --list",
            "  graft tasks --kind code --seed 3 --shots 16 --with-base --out task",
            "  graft train --model task/base --data task/train.jsonl --rank 8 --lr 2e-3 --epochs 8 --out adapter"
        })
final class TasksCommand extends BaseCommand {
    private static final int MOST_EXERCISES = 10_000;
    private static final long SUPPORT_SEED = 0;

    /** What is written into {@code --out}. */
    private record Outputs(Path folder) {
        Path train() {
            return folder.resolve("train.jsonl");
        }

        Path heldOut() {
            return folder.resolve("held-out.jsonl");
        }

        Path base() {
            return folder.resolve("base");
        }

        void requireFree(boolean force) {
            if (Files.exists(folder) && !Files.isDirectory(folder)) {
                throw new InputException("--out " + folder + " is a file; name a folder");
            }
            for (Path file : List.of(train(), heldOut())) {
                if (Files.exists(file) && !force) {
                    throw new InputException(
                            file + " is there already; give --force to overwrite it, or another --out");
                }
            }
        }
    }

    @Option(names = "--list", description = "List the kinds of tasks, with an example of each.")
    private boolean list;

    @Option(
            names = "--kind",
            paramLabel = "K",
            description = "Kind of task (default: extract); --list shows which there are.")
    private String kind = "extract";

    @Option(
            names = "--seed",
            paramLabel = "N",
            description = "Which task of its kind (default: 0); the last part of its name.")
    private long seed;

    @Option(names = "--shots", paramLabel = "K", description = "Examples to learn from (default: 32).")
    private int shots = 32;

    @Option(names = "--held-out", paramLabel = "N", description = "Examples to be judged by (default: 64).")
    private int heldOut = 64;

    @Option(names = "--out", paramLabel = "DIR", description = "Where the files go.")
    private @Nullable Path out;

    @Option(names = "--with-base", description = "Also unpack the embedded base model, into DIR/base.")
    private boolean withBase;

    @Option(names = "--force", description = "Overwrite train.jsonl and held-out.jsonl in --out.")
    private boolean force;

    @Mixin
    private final OutputOptions output = new OutputOptions();

    TasksCommand(Console console) {
        super(console);
    }

    @Override
    int run() {
        if (list) {
            listKinds();
            return EXIT_OK;
        }
        if (out == null) {
            throw new InputException("--out DIR is missing: where train.jsonl and held-out.jsonl go; or give --list");
        }
        requireCount("--shots", shots);
        requireCount("--held-out", heldOut);
        FewShotTask task = FewShotTask.of(TaskKind.of(kind), seed);
        write(task, new Outputs(out));
        return EXIT_OK;
    }

    private static void requireCount(String flag, int count) {
        if (count < 1 || count > MOST_EXERCISES) {
            throw new InputException(flag + " " + count + ": must be 1 to " + MOST_EXERCISES);
        }
    }

    private void write(FewShotTask task, Outputs files) {
        files.requireFree(force);
        List<Exercise> support = task.support(shots, SUPPORT_SEED);
        List<Exercise> questions = task.heldOut(heldOut);
        AtomicFiles.createDirectories(files.folder());
        writeLines(files.train(), support);
        writeLines(files.heldOut(), questions);
        if (withBase) {
            EmbeddedBase.unpack(files.base());
        }
        if (output.isJson()) {
            console().result(json(task, files));
        } else {
            table(task, files).lines().forEach(console()::result);
        }
    }

    private ObjectNode json(FewShotTask task, Outputs files) {
        ObjectNode json = describe(task)
                .put("split", task.split().name().toLowerCase(Locale.ROOT))
                .put("shots", shots)
                .put("train", files.train().toString())
                .put("held_out_examples", heldOut)
                .put("held_out", files.heldOut().toString());
        return withBase ? json.put("base", files.base().toString()) : json;
    }

    private Table table(FewShotTask task, Outputs files) {
        Table table = Table.ofTexts()
                .row("task", task.name())
                .row("asks for", task.rule())
                .row("to learn from", shots + " examples in " + files.train())
                .row("to be judged by", heldOut + " examples in " + files.heldOut());
        return withBase ? table.row("base model", files.base().toString()) : table;
    }

    private static void writeLines(Path file, List<Exercise> exercises) {
        AtomicFiles.writeString(
                file, exercises.stream().map(Exercise::toJsonLine).collect(Collectors.joining("\n", "", "\n")));
    }

    private void listKinds() {
        ObjectNode json = Json.mapper().createObjectNode();
        ArrayNode kinds = json.putArray("kinds");
        for (TaskKind each : TaskKind.values()) {
            FewShotTask task = FewShotTask.of(each, seed);
            Exercise example = task.support(1, SUPPORT_SEED).getFirst();
            if (output.isJson()) {
                kinds.add(describe(task)
                        .put("description", each.description())
                        .put("prompt", example.prompt())
                        .put("completion", example.completion()));
            } else {
                console().result(each.label() + ": " + each.description());
                console().result("    " + task.name() + ": " + task.rule());
                (example.prompt() + example.completion())
                        .lines()
                        .forEach(line -> console().result("      " + line));
            }
        }
        if (output.isJson()) {
            console().result(json);
        }
    }

    private static ObjectNode describe(FewShotTask task) {
        return Json.mapper()
                .createObjectNode()
                .put("kind", task.kind().label())
                .put("task", task.name())
                .put("rule", task.rule());
    }
}
