package dev.graft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.io.Checkpoint;
import dev.graft.train.ParityCase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Full fine-tuning and gradient checkpointing, typed as commands. */
class FullMethodTest {
    private final ParityCase parity = ParityCase.named("llama_tied_alllinear");

    @TempDir
    private Path folder;

    private Cli.Outcome train(String flags, Path out) {
        return Cli.run(
                "train --batch-size 2 --seed 7",
                flags,
                "--model",
                parity.model(),
                "--data",
                Cli.data(parity),
                "--out",
                out);
    }

    private double loss(Path model) {
        return Cli.run("eval --json --precision f32 --model", model, "--data", Cli.data(parity))
                .json()
                .path("loss")
                .asDouble();
    }

    @Test
    void trainsAModelThatIsUsedAsAnyOther() throws IOException {
        Path tuned = folder.resolve("tuned");
        JsonNode result = train("--method full --lr 1e-2 --steps 8 --json --precision f32", tuned)
                .json();
        assertThat(result.path("trainable_share").asDouble()).isEqualTo(1);
        assertThat(result.path("model_bytes").asLong()).isEqualTo(Files.size(tuned.resolve(Checkpoint.SINGLE_FILE)));
        assertThat(loss(tuned)).isLessThan(0.9 * loss(parity.model()));

        Path adapter = folder.resolve("adapter");
        Cli.run("train --steps 1 --model", tuned, "--data", Cli.data(parity), "--out", adapter)
                .ok();
        Cli.run("merge --model", tuned, "--adapter", adapter, "--out", folder.resolve("merged"))
                .ok();
    }

    @Test
    void resumedEndsWithTheBitsOfUninterrupted() throws IOException {
        Path whole = folder.resolve("whole");
        train("--method full --lr 1e-3 --steps 5", whole).ok();
        Path parts = folder.resolve("parts");
        train("--method full --lr 1e-3 --steps 5 --save-every 3", parts).ok();
        Files.delete(parts.resolve(Checkpoint.SINGLE_FILE)); // as after a crash past the checkpoint
        assertThat(train("--method full --lr 1e-3 --steps 5 --save-every 3 --resume", parts)
                        .ok()
                        .err())
                .contains("resuming after step 3 of 5");
        assertThat(Cli.bytes(parts.resolve(Checkpoint.SINGLE_FILE)))
                .isEqualTo(Cli.bytes(whole.resolve(Checkpoint.SINGLE_FILE)));
        assertThat(loss(parts.resolve("checkpoint-3"))).isPositive();
    }

    @Test
    void theDefaultLearningRateIsTheMethods() {
        Path out = folder.resolve("default");
        train("--method full --steps 1 --schedule constant", out).ok();
        assertThat(Cli.metrics(out, "loss").getFirst().path("lr").asDouble()).isEqualTo(2e-5);
    }

    @Test
    void thePlanIsOfWhatIsTrained() {
        JsonNode full =
                Cli.run("plan --json --method full --model", parity.model()).json();
        JsonNode lora = Cli.run("plan --json --model", parity.model()).json();
        assertThat(full.path("trainable_share").asDouble()).isEqualTo(1);
        assertThat(full.path("trainable_parameters")).isEqualTo(full.path("all_parameters"));
        assertThat(full.path("memory_bytes").has("frozen_weights")).isFalse();
        assertThat(lora.path("memory_bytes").has("frozen_weights")).isTrue();
        assertThat(full.path("modules")).isEmpty();
        assertThat(Cli.run("plan --method full --model", parity.model()).ok().out())
                .contains("trains ")
                .contains("100")
                .doesNotContain("adapted layers");
    }

    @Test
    void gradientCheckpointingTakesLessMemoryAndGivesTheSameFile() throws IOException {
        long whole = Cli.run("plan --json --model", parity.model())
                .json()
                .path("memory_bytes")
                .path("activations")
                .asLong();
        long checkpointed = Cli.run("plan --json --gradient-checkpointing --model", parity.model())
                .json()
                .path("memory_bytes")
                .path("activations")
                .asLong();
        assertThat(checkpointed).isLessThan(whole);

        Path kept = folder.resolve("kept");
        Path again = folder.resolve("again");
        String run = "--dropout 0.1 --steps 4 --save-every 2";
        train(run, kept).ok();
        train(run + " --gradient-checkpointing", again).ok();
        byte[] adapter = Cli.bytes(kept.resolve("adapter_model.safetensors"));
        assertThat(Cli.bytes(again.resolve("adapter_model.safetensors"))).isEqualTo(adapter);

        // a run may be resumed with it or without
        deleteTree(again.resolve("checkpoint-4"));
        train(run + " --resume", again).ok();
        assertThat(Cli.bytes(again.resolve("adapter_model.safetensors"))).isEqualTo(adapter);
    }

    private static void deleteTree(Path tree) throws IOException {
        try (Stream<Path> files = Files.list(tree)) {
            for (Path file : files.toList()) {
                Files.delete(file);
            }
        }
        Files.delete(tree);
    }

    @Test
    void contradictionsAreNamed() {
        Path out = folder.resolve("out");
        assertThat(train("--method full --rank 4", out).complaint())
                .contains("--rank")
                .contains("full");
        assertThat(train("--method full --rslora", out).complaint()).contains("--rslora");
        assertThat(train("--method full --init-adapter x", out).complaint()).contains("--init-adapter");
        assertThat(train("--method full --verify-frozen", out).complaint()).contains("--verify-frozen");
        assertThat(train("--method half", out).complaint()).contains("lora or adapter or full");
        train("--method full --steps 1", out).ok();
        assertThat(train("--method full --steps 1", out).complaint())
                .contains("already holds a model")
                .contains("--force");
        assertThat(train("--method full --steps 1 --resume", out).complaint()).contains("finished model");
    }

    @Test
    void aModelAndAnAdapterNeverLieTogether() {
        Path model = folder.resolve("model");
        train("--method full --steps 1", model).ok();
        Path adapter = folder.resolve("adapter");
        train("--steps 1", adapter).ok();
        for (String more : new String[] {"", " --force", " --resume"}) {
            assertThat(train("--steps 1" + more, model).complaint())
                    .contains("already holds a model")
                    .contains("choose another folder");
            assertThat(train("--method full --steps 1" + more, adapter).complaint())
                    .contains("already holds an adapter")
                    .contains("choose another folder");
        }
        assertThat(Cli.run("merge --force --model", parity.model(), "--adapter", adapter, "--out", adapter)
                        .complaint())
                .contains("already holds an adapter");
    }

    /** Also where the earlier model had several files: what is left of it would be read with the new one. */
    @Test
    void aModelReplacesAnotherWhole() {
        Path out = Cli.copy(ParityCase.named("llama_sharded_bf16").model(), folder.resolve("out"));
        assertThat(train("--method full --steps 1", out).complaint())
                .contains("already holds a model")
                .contains("--force");
        train("--method full --steps 1 --precision f32 --force", out).ok();
        assertThat(out.resolve(Checkpoint.INDEX_FILE)).doesNotExist();
        assertThat(out).isDirectoryNotContaining("glob:**model-*.safetensors");
        assertThat(loss(out)).isPositive();
    }
}
