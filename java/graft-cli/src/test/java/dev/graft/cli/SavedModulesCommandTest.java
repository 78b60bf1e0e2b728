package dev.graft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.train.ParityCase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code --modules-to-save}, typed as commands. */
class SavedModulesCommandTest {
    private static final ParityCase TIED = ParityCase.named("saved_tied");
    /** Two layers, vocabulary 43, hidden 16, 4 heads of 4. */
    private static final ParityCase UNTIED = ParityCase.named("saved_embeddings");

    @TempDir
    private Path folder;

    private static Cli.Outcome run(String command, ParityCase parity, String flags, Object... more) {
        return Cli.run(Stream.concat(
                        Stream.of(command, flags, "--model", parity.model(), "--data", Cli.data(parity)),
                        Stream.of(more))
                .toArray());
    }

    private static Cli.Outcome train(ParityCase parity, String flags, Path out) {
        return run("train --batch-size 2 --rank 2 --targets q_proj", parity, flags, "--out", out);
    }

    @Test
    void planTrainAndInspectCountTheSame() {
        long lowRank = 2 * 2 * (16 + 16);
        long whole = 43 * 16 + 5 * 16;
        String flags = "--rank 2 --targets q_proj --modules-to-save lm_head,norm";
        JsonNode plan = run("plan --json", UNTIED, flags).json();
        assertThat(plan.path("trainable_parameters").asLong()).isEqualTo(lowRank + whole);
        JsonNode weights = plan.path("whole_weights");
        assertThat(weights).hasSize(4);
        assertThat(weights.get(3).path("name").asText()).isEqualTo("lm_head.weight");
        assertThat(weights.get(3).path("parameters").asLong()).isEqualTo(43 * 16);
        assertThat(run("plan", UNTIED, flags).ok().out())
                .contains("in 2 layers and 6 whole weights")
                .containsPattern("lm_head.weight +1 +43 x 16 +whole +688");

        Path adapter = folder.resolve("adapter");
        JsonNode trained = run("train --json --verify-frozen --steps 2", UNTIED, flags, "--out", adapter)
                .json();
        assertThat(trained.path("trainable_parameters").asLong()).isEqualTo(lowRank + whole);
        assertThat(trained.path("frozen_unchanged").asBoolean()).isTrue();
        JsonNode facts = Cli.run("inspect --json", adapter).json();
        assertThat(facts.path("trainable_parameters").asLong()).isEqualTo(lowRank + whole);
        assertThat(facts.path("adapted_layers").asInt()).isEqualTo(2);
        assertThat(facts.path("modules_to_save").valueStream().map(JsonNode::asText))
                .containsExactly("lm_head", "norm");
        assertThat(Cli.run("inspect", adapter).ok().out()).containsPattern("trained whole +lm_head,norm");
    }

    @Test
    void aWeightUnderTwoNamesCountsOnce() {
        assertThat(Cli.run("inspect --json", TIED.finalAdapter(), "--model", TIED.model())
                        .json()
                        .path("trainable_parameters")
                        .asLong())
                .isEqualTo(TIED.expected().path("trainable_parameters").asLong());
        assertThat(Cli.run("inspect", TIED.finalAdapter(), "--model", TIED.model())
                        .ok()
                        .out())
                .contains("k_proj,model.embed_tokens, ties kept");
    }

    @Test
    void resumedEndsWithTheBitsOfUninterrupted() throws IOException {
        String flags = "--steps 5 --save-every 3 --modules-to-save embed_tokens,lm_head";
        Path whole = folder.resolve("whole");
        train(UNTIED, flags, whole).ok();
        Path parts = folder.resolve("parts");
        train(UNTIED, flags, parts).ok();
        Files.delete(parts.resolve("adapter_model.safetensors")); // as after a crash past the checkpoint
        assertThat(train(UNTIED, "--steps 5 --save-every 3 --modules-to-save lm_head --resume", parts)
                        .complaint())
                .contains("had --modules-to-save [embed_tokens, lm_head], now it is [lm_head]");
        train(UNTIED, flags + " --resume", parts).ok();
        assertThat(Cli.bytes(parts.resolve("adapter_model.safetensors")))
                .isEqualTo(Cli.bytes(whole.resolve("adapter_model.safetensors")));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--modules-to-save lm_heed | --modules-to-save 'lm_heed' matches no module of this model; it has embed_tokens",
                "--modules-to-save lm_head,.*norm | modules to save: '.*norm'",
                "--modules-to-save q_proj | no module is left to adapt",
                "--modules-to-save mlp,up_proj | lies in",
                "--modules-to-save proj | q_proj is adapted and trained whole at once",
                "--ensure-weight-tying | name one of them",
                "--method full --modules-to-save lm_head | --modules-to-save belongs to LoRA",
                "--method full --ensure-weight-tying | --ensure-weight-tying belongs to LoRA",
            })
    void whatCannotBeIsToldInOneLine(String flags, String complaint) {
        String lora = flags.startsWith("--method") ? flags : flags + " --rank 2 --targets q_proj";
        assertThat(run("train --steps 1", TIED, lora, "--out", folder.resolve("out"))
                        .complaint())
                .contains(complaint);
    }

    @Test
    void anAdapterToStartFromSaysWhatIsSaved() {
        Object[] start = {"--init-adapter", TIED.initialAdapter(), "--out", folder.resolve("out")};
        assertThat(run("train --steps 1 --modules-to-save lm_head", TIED, "--batch-size 2", start)
                        .complaint())
                .contains("--modules-to-save [lm_head]")
                .contains("has [k_proj, model.embed_tokens]");
        run(
                        "train --steps 1 --modules-to-save k_proj,model.embed_tokens --ensure-weight-tying",
                        TIED,
                        "--batch-size 2",
                        start)
                .ok();
    }

    @Test
    void aSweepTrainsThemOneAtATime() {
        String flags = "--steps 2 --ranks 1,2 --targets q_proj --modules-to-save model.norm --force";
        Object[] rest = {"--eval-data", Cli.data(UNTIED), "--out", folder.resolve("best")};
        assertThat(run("sweep", UNTIED, flags, rest).complaint())
                .contains("--modules-to-save gives every adapter whole weights")
                .contains("--at-once 1");
        run("sweep --at-once 1", UNTIED, flags, rest).ok();
    }

    @Test
    void aHeadOfItsOwnIsNotMergedIntoATiedModel() {
        Path adapter = folder.resolve("adapter");
        train(TIED, "--steps 1 --modules-to-save lm_head", adapter).ok();
        assertThat(Cli.run("merge --model", TIED.model(), "--adapter", adapter, "--out", folder.resolve("merged"))
                        .complaint())
                .contains("lm_head, which shares its weights with the embedding");
    }
}
