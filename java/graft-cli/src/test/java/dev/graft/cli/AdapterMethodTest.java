package dev.graft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.bottleneck.BottleneckFile;
import dev.graft.train.ParityCase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Bottleneck modules, typed as commands. */
class AdapterMethodTest {
    /** Two layers, hidden 40. */
    private final ParityCase parity = ParityCase.named("llama_basic");

    @TempDir
    private Path folder;

    private Cli.Outcome train(String flags, Path out) {
        return Cli.run(
                "train --precision f32 --batch-size 2 --seed 7",
                flags,
                "--model",
                parity.model(),
                "--data",
                Cli.data(parity),
                "--out",
                out);
    }

    private double loss(Path adapter) {
        return Cli.run(
                        "eval --json --precision f32 --model",
                        parity.model(),
                        "--data",
                        Cli.data(parity),
                        "--adapter",
                        adapter)
                .json()
                .path("loss")
                .asDouble();
    }

    private double baseLoss() {
        return Cli.run("eval --json --precision f32 --model", parity.model(), "--data", Cli.data(parity))
                .json()
                .path("loss")
                .asDouble();
    }

    @ParameterizedTest
    @CsvSource({"houlsby, 4", "pfeiffer, 2"})
    void trainedModulesAreEvaluatedAndGenerateAndAreShown(String placement, int modules) {
        Path out = folder.resolve("modules");
        long parameters = modules * (2 * 40 * 12 + 12 + 40);
        JsonNode result = train(
                        "--method adapter --bottleneck 12 --placement " + placement
                                + " --lr 2e-2 --steps 20 --verify-frozen --json",
                        out)
                .json();
        assertThat(result.path("trainable_parameters").asLong()).isEqualTo(parameters);
        assertThat(result.path("frozen_unchanged").asBoolean()).isTrue();
        assertThat(result.path("adapter_bytes").asLong()).isEqualTo(size(out));
        assertThat(loss(out)).isLessThan(0.9 * baseLoss());

        String generate = "generate --json --precision f32 --max-new-tokens 6 --input-ids 5,20,65,99 --model";
        JsonNode adapted =
                Cli.run(generate, parity.model(), "--adapter", out).json().path("ids");
        assertThat(adapted)
                .hasSize(6)
                .isNotEqualTo(Cli.run(generate, parity.model()).json().path("ids"));

        JsonNode facts =
                Cli.run("inspect --json", out, "--model", parity.model()).json();
        assertThat(facts.path("kind").asText()).isEqualTo("bottleneck");
        assertThat(facts.path("placement").asText()).isEqualTo(placement);
        assertThat(facts.path("bottleneck").asInt()).isEqualTo(12);
        assertThat(facts.path("modules").asInt()).isEqualTo(modules);
        assertThat(facts.path("trainable_parameters").asLong()).isEqualTo(parameters);
        assertThat(facts.path("trainable_share").asDouble())
                .isEqualTo(result.path("trainable_share").asDouble());
        assertThat(Cli.run("inspect", out).ok().out())
                .contains("bottleneck modules, after")
                .contains("12")
                .contains(parity.model().toString());
    }

    private static long size(Path out) {
        return Cli.bytes(out.resolve(BottleneckFile.WEIGHTS_FILE)).length;
    }

    @Test
    void untrainedModulesLeaveTheModelAsItIs() {
        Path out = folder.resolve("modules");
        train("--method adapter --steps 1 --lr 0", out).ok();
        assertThat(loss(out)).isEqualTo(baseLoss());
    }

    @Test
    void resumedEndsWithTheBitsOfUninterrupted() throws IOException {
        String run = "--method adapter --bottleneck 5 --steps 5 --grad-accum 2";
        Path whole = folder.resolve("whole");
        train(run, whole).ok();
        Path parts = folder.resolve("parts");
        train(run + " --save-every 3 --gradient-checkpointing", parts).ok();
        Files.delete(parts.resolve(BottleneckFile.WEIGHTS_FILE)); // as after a crash past the checkpoint
        assertThat(train(run + " --save-every 3 --resume", parts).ok().err()).contains("resuming after step 3 of 5");
        assertThat(Cli.bytes(parts.resolve(BottleneckFile.WEIGHTS_FILE)))
                .isEqualTo(Cli.bytes(whole.resolve(BottleneckFile.WEIGHTS_FILE)));
        assertThat(loss(parts.resolve("checkpoint-3"))).isPositive();

        assertThat(train("--method adapter --bottleneck 6 --steps 5 --grad-accum 2 --resume", parts)
                        .complaint())
                .contains("bottleneck 5")
                .contains("6");
    }

    @Test
    void trainingGoesOnFromSavedModules() {
        Path first = folder.resolve("first");
        train("--method adapter --bottleneck 5 --placement pfeiffer --lr 2e-2 --steps 10", first)
                .ok();
        Path second = folder.resolve("second");
        train("--method adapter --lr 0 --steps 1 --init-adapter " + first, second)
                .ok();
        assertThat(Cli.bytes(second.resolve(BottleneckFile.WEIGHTS_FILE)))
                .isEqualTo(Cli.bytes(first.resolve(BottleneckFile.WEIGHTS_FILE)));
        Path third = folder.resolve("third");
        assertThat(train("--method adapter --bottleneck 6 --init-adapter " + first, third)
                        .complaint())
                .contains("--bottleneck 6")
                .contains("5");
        assertThat(train("--method adapter --placement houlsby --init-adapter " + first, third)
                        .complaint())
                .contains("--placement houlsby");
        assertThat(train("--method adapter --init-adapter " + parity.initialAdapter(), third)
                        .complaint())
                .contains("bottleneck modules");
        assertThat(train("--init-adapter " + first, third).complaint())
                .contains("holds bottleneck modules; give --method adapter");
        // an adapter of the other kind is replaced, not joined
        train("--rank 2 --steps 1 --force", second).ok();
        assertThat(second.resolve(BottleneckFile.WEIGHTS_FILE)).doesNotExist();
        assertThat(loss(second)).isPositive();
    }

    @Test
    void thePlanCountsModules() {
        JsonNode plan = Cli.run("plan --json --precision f32 --method adapter --bottleneck 8 --model", parity.model())
                .json();
        assertThat(plan.path("trainable_parameters").asLong()).isEqualTo(4 * (2 * 40 * 8 + 8 + 40));
        assertThat(plan.path("memory_bytes").path("frozen_weights").asLong()).isEqualTo(4 * 35_160);
        assertThat(Cli.run("plan --method adapter --placement pfeiffer --model", parity.model())
                        .ok()
                        .out())
                .contains("in 2 modules");
    }

    @Test
    void modulesCannotBeMerged() {
        Path out = folder.resolve("modules");
        train("--method adapter --bottleneck 3 --steps 1", out).ok();
        assertThat(Cli.run("merge --model", parity.model(), "--adapter", out, "--out", folder.resolve("merged"))
                        .complaint())
                .contains("cannot be merged");
        assertThat(folder.resolve("merged")).doesNotExist();
    }

    @Test
    void contradictionsAreNamed() {
        Path out = folder.resolve("out");
        assertThat(train("--method adapter --rank 4", out).complaint())
                .contains("--rank")
                .contains("adapter");
        assertThat(train("--bottleneck 4", out).complaint())
                .contains("--bottleneck")
                .contains("lora");
        assertThat(train("--method full --placement pfeiffer", out).complaint())
                .contains("--placement")
                .contains("full");
        assertThat(train("--method adapter --bottleneck 0", out).complaint()).contains("--bottleneck 0");
        assertThat(train("--method adapter --placement between", out).complaint())
                .contains("--placement between")
                .contains("houlsby");
        train("--method adapter --bottleneck 3 --steps 1", out).ok();
        assertThat(train("--method adapter --bottleneck 3 --steps 1", out).complaint())
                .contains("already holds an adapter");
    }

    @Test
    void anotherBaseIsRefusedUnlessForced() {
        Path out = folder.resolve("modules");
        train("--method adapter --bottleneck 3 --steps 1", out).ok();
        ParityCase other = ParityCase.named("lora_accum"); // the same shape, other weights
        Object[] command = {
            "eval --json --precision f32 --model", other.model(), "--data", Cli.data(other), "--adapter", out
        };
        assertThat(Cli.run(command).complaint()).contains("fingerprint").contains("--force");
        assertThat(Cli.run("eval --json --force --model", command[1], "--data", command[3], "--adapter", out)
                        .ok()
                        .exitCode())
                .isZero();
        ParityCase wider = ParityCase.named("qwen2");
        assertThat(Cli.run("eval --force --model", wider.model(), "--data", Cli.data(wider), "--adapter", out)
                        .complaint())
                .contains("trained on another base");
    }
}
