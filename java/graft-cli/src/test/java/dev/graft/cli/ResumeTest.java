package dev.graft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.lora.PeftAdapter;
import dev.graft.train.ParityCase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Runs that stop and go on, and what protects the results of earlier ones. */
class ResumeTest {
    private final ParityCase parity = ParityCase.named("llama_tied_alllinear");

    @TempDir
    private Path folder;

    private Object[] train(String more, Path out) {
        return new Object[] {
            "train --rank 3 --dropout 0.1 --batch-size 2 --lr 1e-2 --seed 7",
            more,
            "--model",
            parity.model(),
            "--data",
            Cli.data(parity),
            "--out",
            out
        };
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " --dora"})
    void resumedEndsWithTheBitsOfUninterrupted(String adapter) throws IOException {
        Path whole = folder.resolve("whole");
        Cli.run(train("--steps 9" + adapter, whole)).ok();
        Path parts = folder.resolve("parts");
        Cli.run(train("--steps 9 --save-every 4" + adapter, parts)).ok();
        List<JsonNode> before = Cli.metrics(parts, "loss");
        // as after a crash in step 9: the checkpoint of step 8 is there, the adapter is not
        Files.delete(parts.resolve(PeftAdapter.CONFIG_FILE));
        Files.delete(parts.resolve(PeftAdapter.WEIGHTS_FILE));

        Cli.Outcome resumed = Cli.run(train("--steps 9 --save-every 4 --resume" + adapter, parts))
                .ok();

        assertThat(resumed.err()).contains("resuming after step 8 of 9");
        assertThat(Cli.bytes(parts.resolve(PeftAdapter.WEIGHTS_FILE)))
                .isEqualTo(Cli.bytes(whole.resolve(PeftAdapter.WEIGHTS_FILE)));
        assertThat(Cli.metrics(parts, "loss")).hasSize(9);
        assertThat(losses(parts)).isEqualTo(losses(before));
    }

    @Test
    void whatTookOverAPartOfTheBaseResumesByTheSameFlagsOnly() throws IOException {
        String flags = "--steps 6 --init pissa_niter_2";
        Path whole = folder.resolve("whole");
        Cli.run(train(flags, whole)).ok();
        Path parts = folder.resolve("parts");
        Cli.run(train(flags + " --save-every 4", parts)).ok();
        Files.delete(parts.resolve(PeftAdapter.CONFIG_FILE));
        assertThat(Cli.run(train("--steps 6 --resume", parts)).complaint())
                .contains("had --init pissa_niter_2, now it is gaussian or kaiming");
        assertThat(Cli.run(train(flags + " --alpha 5 --resume", parts)).complaint())
                .contains("alpha 32.0, now it is 5.0");
        Cli.Outcome resumed = Cli.run(train(flags + " --save-every 4 --resume --verify-frozen", parts))
                .ok();
        assertThat(resumed.err()).contains("resuming after step 4 of 6").contains("not one bit changed");
        assertThat(Cli.bytes(parts.resolve(PeftAdapter.WEIGHTS_FILE)))
                .isEqualTo(Cli.bytes(whole.resolve(PeftAdapter.WEIGHTS_FILE)));
        assertThat(Cli.run("inspect", parts).ok().out())
                .containsPattern("rank +6\n")
                .contains("pissa_niter_2: half of the rank was trained");
    }

    private static List<Double> losses(Path out) {
        return losses(Cli.metrics(out, "loss"));
    }

    private static List<Double> losses(List<JsonNode> rows) {
        return rows.stream().map(row -> row.path("loss").asDouble()).toList();
    }

    @Test
    void resumingAFinishedRunChangesNothing() {
        Path out = folder.resolve("finished");
        Cli.run(train("--steps 4 --save-every 2", out)).ok();
        byte[] adapter = Cli.bytes(out.resolve(PeftAdapter.WEIGHTS_FILE));
        Cli.Outcome again =
                Cli.run(train("--steps 4 --save-every 2 --resume --json", out)).ok();
        assertThat(again.json().path("steps").asInt()).isEqualTo(4);
        assertThat(again.json().path("last_loss").isNull()).isTrue();
        assertThat(Cli.bytes(out.resolve(PeftAdapter.WEIGHTS_FILE))).isEqualTo(adapter);
    }

    @Test
    void resumeWithoutCheckpointStartsAnew() {
        Cli.Outcome outcome =
                Cli.run(train("--steps 1 --resume", folder.resolve("new"))).ok();
        assertThat(outcome.err()).contains("no checkpoint in").contains("starting anew");
    }

    @Test
    void resumeRefusesAnotherRun() {
        Path out = folder.resolve("run");
        Cli.run(train("--steps 2 --save-every 1", out)).ok();
        assertThat(Cli.run(train("--steps 3 --resume --dora", out)).complaint()).contains("--dora false");
        assertThat(Cli.run(train("--steps 3 --resume --alpha 5", out)).complaint())
                .contains("--alpha 32.0")
                .contains("now it is 5.0");
        assertThat(Cli.run(train("--steps 2 --resume --exclude o_proj", out)).complaint())
                .contains("number of adapted layers 14, now it is 12");
        assertThat(Cli.run(train("--steps 2 --resume --weight-decay 1", out)).complaint())
                .contains("weightDecay 0.0, now it is 1.0");
    }

    @Test
    void resumeNamesTheOtherMethod() throws IOException {
        Path lora = folder.resolve("lora");
        Cli.run(train("--steps 2 --save-every 1", lora)).ok();
        Path full = folder.resolve("full");
        Cli.run(method("--method full --steps 2 --save-every 1", full)).ok();
        Path modules = folder.resolve("modules");
        Cli.run(method("--method adapter --steps 2 --save-every 1", modules)).ok();
        for (Path interrupted : List.of(lora, full, modules)) {
            deleteFiles(interrupted); // as after a crash: checkpoints, and nothing beside them
        }
        assertThat(Cli.run(method("--method full --steps 2 --resume", lora)).complaint())
                .contains("was a run with --method lora, this is one with full");
        assertThat(Cli.run(method("--method adapter --steps 2 --resume", lora)).complaint())
                .contains("was a run with --method lora, this is one with adapter");
        assertThat(Cli.run(train("--steps 2 --resume", full)).complaint())
                .contains("was a run with --method full, this is one with lora");
        assertThat(Cli.run(train("--steps 2 --resume", modules)).complaint())
                .contains("was a run with --method adapter, this is one with lora");
    }

    private static void deleteFiles(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                Files.delete(file);
            }
        }
    }

    private Object[] method(String flags, Path out) {
        return new Object[] {"train", flags, "--model", parity.model(), "--data", Cli.data(parity), "--out", out};
    }

    @Test
    void doraIsNamedAlsoWhereTheStartTookOverAPartOfTheBase() {
        Path out = folder.resolve("run");
        String flags = "--init pissa_niter_2 --steps 2 --save-every 1";
        Cli.run(train(flags + " --dora", out)).ok();
        assertThat(Cli.run(train(flags + " --resume", out)).complaint()).contains("had --dora true, now it is false");
    }

    @Test
    void earlierResultsAreNotOverwrittenUnasked() throws IOException {
        Path out = folder.resolve("run");
        Cli.run(train("--steps 2 --save-every 1", out)).ok();
        byte[] adapter = Cli.bytes(out.resolve(PeftAdapter.WEIGHTS_FILE));

        assertThat(Cli.run(train("--steps 1", out)).complaint())
                .contains("already holds checkpoints up to checkpoint-2")
                .contains("--resume")
                .contains("--force");
        assertThat(Cli.bytes(out.resolve(PeftAdapter.WEIGHTS_FILE))).isEqualTo(adapter);

        Cli.Outcome forced = Cli.run(train("--steps 1 --force", out)).ok();
        assertThat(forced.err()).contains("deleted 2 checkpoints");
        assertThat(Cli.bytes(out.resolve(PeftAdapter.WEIGHTS_FILE))).isNotEqualTo(adapter);
        try (Stream<Path> files = Files.list(out)) {
            assertThat(files.map(file -> file.getFileName().toString()))
                    .containsExactlyInAnyOrder(PeftAdapter.CONFIG_FILE, PeftAdapter.WEIGHTS_FILE, "metrics.jsonl");
        }
        assertThat(Cli.run(train("--steps 1 --resume", out)).complaint())
                .contains("holds a finished adapter and no checkpoint")
                .contains("--init-adapter");
    }

    @Test
    void aSignalStopsWithACheckpointThatResumes() throws IOException, InterruptedException {
        Path out = folder.resolve("stopped");
        Path log = folder.resolve("log.txt");
        Process process = Cli.start(log, train("--steps 100000", out));
        try {
            Cli.awaitLines(out.resolve("metrics.jsonl"), process);
            // SIGTERM, which a background process hears too; SIGINT has the same handler
            process.destroy();
            assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
        } finally {
            process.destroyForcibly();
        }
        String printed = Files.readString(log);
        assertThat(process.exitValue()).as(printed).isEqualTo(130);
        assertThat(printed).contains("stopping after this step").contains("--resume");
        int done = Cli.metrics(out, "loss").size();
        assertThat(out.resolve("checkpoint-" + done).resolve("trainer_state.json"))
                .exists();
        assertThat(out.resolve(PeftAdapter.CONFIG_FILE)).doesNotExist();
    }
}
