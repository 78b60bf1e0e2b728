package dev.graft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.train.ParityCase;
import java.nio.file.Path;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is told before and without training. */
class PlanAndInspectTest {
    /** Two layers, hidden 40, MLP 72, 4 heads of 10 on 2 key/value heads, vocabulary 101, head not tied. */
    private final ParityCase parity = ParityCase.named("llama_basic");

    @TempDir
    private Path folder;

    @Test
    void planCountsByHand() {
        JsonNode plan = Cli.run(
                        "plan --json --precision f32 --rank 4 --targets q_proj,up_proj --rank-pattern up_proj=3 --model",
                        parity.model())
                .json();
        long queries = 2 * 4 * (40 + 40);
        long up = 2 * 3 * (72 + 40);
        assertThat(plan.path("trainable_parameters").asLong()).isEqualTo(queries + up);
        assertThat(plan.path("matched_modules").asInt()).isEqualTo(4);
        JsonNode modules = plan.path("modules");
        assertThat(modules).hasSize(2);
        assertThat(modules.get(1).path("name").asText()).isEqualTo("up_proj");
        assertThat(modules.get(1).path("count").asInt()).isEqualTo(2);
        assertThat(modules.get(1).path("rank").asInt()).isEqualTo(3);
        assertThat(modules.get(1).path("out").asInt()).isEqualTo(72);
        assertThat(modules.get(1).path("parameters").asLong()).isEqualTo(up);
        JsonNode memory = plan.path("memory_bytes");
        assertThat(memory.path("frozen_weights").asLong()).isEqualTo(4 * 35_160);
        assertThat(plan.path("mapped_bytes").asLong()).isEqualTo(4 * 35_160);
        // two moments in float32; every A and B begins on a boundary of 16 numbers
        long padded = 2 * (160 + 160) + 2 * (128 + 224);
        assertThat(memory.path("optimizer_state").asLong()).isEqualTo(2 * 4 * padded);
        assertThat(plan.path("allocated_bytes").asLong())
                .isEqualTo(plan.path("total_bytes").asLong()
                        - plan.path("mapped_bytes").asLong());
        assertThat(plan.path("fits").asBoolean()).isTrue();
    }

    /** Σ r (d + k) + d. */
    @Test
    void planAndInspectCountTheMagnitudesOfDora() {
        String flags = "--dora --rank 4 --targets q_proj,up_proj --model";
        long queries = 2 * (4 * (40 + 40) + 40);
        long up = 2 * (4 * (72 + 40) + 72);
        JsonNode plan = Cli.run("plan --json", flags, parity.model()).json();
        assertThat(plan.path("trainable_parameters").asLong()).isEqualTo(queries + up);
        assertThat(plan.path("modules").get(1).path("parameters").asLong()).isEqualTo(up);
        Path adapter = folder.resolve("dora");
        Cli.run("train --steps 1", flags, parity.model(), "--data", Cli.data(parity), "--out", adapter)
                .ok();
        JsonNode facts = Cli.run("inspect --json", adapter).json();
        assertThat(facts.path("dora").asBoolean()).isTrue();
        assertThat(facts.path("adapted_layers").asInt()).isEqualTo(4);
        assertThat(facts.path("trainable_parameters").asLong()).isEqualTo(queries + up);
        assertThat(Cli.run("inspect", adapter).ok().out()).contains("DoRA");
    }

    @Test
    void planWithDataIsWhatTrainPrints() {
        Object[] flags = {"--rank 4 --model", parity.model(), "--data", Cli.data(parity)};
        Cli.Outcome plan =
                Cli.run("plan", flags[0], flags[1], flags[2], flags[3]).ok();
        Cli.Outcome train = Cli.run("train", flags[0], flags[1], flags[2], flags[3], "--out", folder.resolve("out"))
                .ok();
        String trains = plan.out()
                .lines()
                .filter(line -> line.startsWith("trains "))
                .findFirst()
                .orElseThrow();
        assertThat(train.err()).contains(trains);
        String toAllocate = plan.out()
                .lines()
                .filter(line -> line.strip().startsWith("to allocate"))
                .map(line -> line.replaceAll(".*to allocate\\s+", ""))
                .findFirst()
                .orElseThrow();
        assertThat(train.err()).contains("memory: " + toAllocate);
    }

    @Test
    void whatDoesNotFitIsRefusedWithTheFlagsThatFit() {
        String lora = "plan --json --rank 1 --targets q_proj --model";
        JsonNode plan = Cli.run(lora, parity.model(), "--seq-len 100000 --batch-size 16384 --grad-accum 2")
                .json();
        assertThat(plan.path("fits").asBoolean()).isFalse();
        String remedy = plan.path("remedy").asText();
        assertThat(remedy).matches("use --batch-size \\d+ --grad-accum \\d+.*");
        String flags = remedy.replaceFirst("use ", "").replaceFirst(",.*", "");
        JsonNode better = Cli.run(
                        lora, parity.model(), flags.contains("--seq-len") ? flags : flags + " --seq-len 100000")
                .json();
        // memory comes and goes on a shared machine
        assertThat(better.path("allocated_bytes").asLong())
                .isLessThanOrEqualTo(plan.path("available_bytes").asLong());
        assertThat(Cli.run("plan --seq-len 2000000000 --batch-size 2 --model", parity.model())
                        .complaint())
                .contains("--seq-len 2000000000");
    }

    @Test
    void inspectModel() {
        JsonNode facts = Cli.run("inspect --json --fingerprint", parity.model()).json();
        assertThat(facts.path("architecture").asText()).isEqualTo("LlamaForCausalLM");
        JsonNode parameters = facts.path("parameters");
        assertThat(parameters.path("embedding").asLong()).isEqualTo(101 * 40);
        assertThat(parameters.path("attention").asLong()).isEqualTo(2 * (2 * 40 * 40 + 2 * 20 * 40));
        assertThat(parameters.path("mlp").asLong()).isEqualTo(2 * 3 * 72 * 40);
        assertThat(parameters.path("norm").asLong()).isEqualTo(5 * 40);
        assertThat(parameters.path("head").asLong()).isEqualTo(101 * 40);
        assertThat(parameters.path("total").asLong()).isEqualTo(35_160);
        assertThat(facts.path("bytes").asLong()).isEqualTo(4 * 35_160);
        assertThat(facts.path("tensors_by_dtype").path("F32").asInt()).isEqualTo(21);
        assertThat(facts.path("chat_template").asBoolean()).isFalse();
        String text = Cli.run("inspect", parity.model()).ok().out();
        assertThat(text).contains("LlamaForCausalLM").contains("35,160").contains("4 of 10, 2 key/value heads");
    }

    @Test
    void inspectAdapter() {
        Path adapter = folder.resolve("adapter");
        Cli.run(
                        "train --steps 1 --rank 4 --alpha 6 --targets q_proj,v_proj --model",
                        parity.model(),
                        "--data",
                        Cli.data(parity),
                        "--out",
                        adapter)
                .ok();
        JsonNode facts = Cli.run("inspect --json", adapter).json();
        assertThat(facts.path("rank").asInt()).isEqualTo(4);
        assertThat(facts.path("alpha").asDouble()).isEqualTo(6);
        assertThat(facts.path("adapted_layers").asInt()).isEqualTo(4);
        assertThat(facts.path("trainable_parameters").asLong()).isEqualTo(1120);
        // the base is found where the adapter says
        assertThat(facts.path("trainable_share").asDouble()).isCloseTo(1120.0 / 36_280, Offset.offset(1e-12));
        String fingerprint = Cli.run("inspect --json --fingerprint", parity.model())
                .json()
                .path("fingerprint")
                .asText();
        assertThat(facts.path("base_fingerprint").asText())
                .isEqualTo(fingerprint)
                .hasSize(16);
        // an adapter that PEFT wrote names a base that is not here
        assertThat(Cli.run("inspect", parity.initialAdapter(), "--model", parity.model())
                        .ok()
                        .out())
                .contains("1,120, 3.09 % of all")
                .contains("base fingerprint  none");
    }

    @Test
    void inspectTellsWhatWasTrainedOfAConvertedAdapter() {
        Path adapter = folder.resolve("adapter");
        JsonNode trained = Cli.run(
                        "train --json --steps 1 --rank 3 --init pissa_niter_2 --dora --targets q_proj,v_proj --model",
                        parity.model(),
                        "--data",
                        Cli.data(parity),
                        "--out",
                        adapter)
                .json();
        JsonNode facts = Cli.run("inspect --json", adapter).json();
        assertThat(facts.path("rank").asInt()).isEqualTo(6);
        assertThat(facts.path("trainable_parameters")).isEqualTo(trained.path("trainable_parameters"));
        // two layers, q_proj [40, 40] and v_proj [20, 40]: A and B of rank 6, and the magnitudes
        assertThat(facts.path("stored_parameters").asLong()).isEqualTo(2 * (6 * (80 + 60) + 60));
        assertThat(facts.path("trainable_parameters").asLong()).isEqualTo(2 * (3 * (80 + 60) + 60));
        assertThat(Cli.run("inspect", adapter).ok().out())
                .containsPattern("parameters +960,")
                .containsPattern("parameters stored +1,800");
    }

    @Test
    void helpAndVersion() {
        assertThat(Cli.run("--help").ok().out())
                .contains("train")
                .contains("generate")
                .contains("bench");
        assertThat(Cli.run("--version").ok().out()).startsWith("graft ").contains("Java 2");
        for (String command : new String[] {"train", "eval", "generate", "merge", "inspect", "plan", "bench train"}) {
            assertThat(Cli.run(command, "--help").ok().out())
                    .as(command)
                    .contains("Usage: graft " + command)
                    .contains("Examples:")
                    .contains("--json");
        }
    }
}
