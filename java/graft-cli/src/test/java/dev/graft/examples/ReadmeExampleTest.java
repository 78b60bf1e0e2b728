package dev.graft.examples;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.cli.world.Exercise;
import dev.graft.cli.world.QuickstartTask;
import dev.graft.cli.world.WorldTokenizer;
import dev.graft.engine.Engine;
import dev.graft.engine.Engines;
import dev.graft.engine.Precision;
import dev.graft.lora.PeftAdapter;
import dev.graft.model.Architecture;
import dev.graft.model.DecoderConfig;
import dev.graft.model.FullModel;
import dev.graft.model.PretrainedModel;
import dev.graft.nn.Rope;
import dev.graft.nn.RopeScaling;
import dev.graft.tensor.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The program in the README is the one that is compiled here, and it works. */
class ReadmeExampleTest {
    private static final Path SOURCE = Path.of("src/test/java/dev/graft/examples/FineTune.java");

    @Test
    void readmeShowsTheProgram() throws IOException {
        String source = Files.readString(SOURCE);
        String shown = source.substring(source.indexOf("import dev.graft.data"));
        assertThat(Files.readString(Path.of("../../README.md"))).contains(shown.strip());
    }

    @Test
    void programTrainsSavesAndMerges(@TempDir Path folder) throws IOException {
        Path model = folder.resolve("model");
        writeTinyModel(model);
        Path data = Files.writeString(
                folder.resolve("rows.jsonl"),
                QuickstartTask.train().stream()
                        .limit(8)
                        .map(Exercise::toJsonLine)
                        .collect(Collectors.joining("\n")));

        FineTune.main(new String[] {model.toString(), data.toString(), folder.toString()});

        PeftAdapter adapter = PeftAdapter.read(folder.resolve("adapter"));
        assertThat(adapter.config().rank()).isEqualTo(16);
        try (Engine engine = Engines.open("cpu");
                PretrainedModel merged = PretrainedModel.load(folder.resolve("merged"), engine, Precision.F32)) {
            assertThat(merged.config().layers()).isEqualTo(2);
        }
    }

    private static void writeTinyModel(Path folder) {
        DecoderConfig config = new DecoderConfig(
                Architecture.LLAMA,
                WorldTokenizer.VOCABULARY_SIZE,
                32,
                64,
                2,
                2,
                1,
                16,
                1e-5f,
                new Rope(10000, 16, new RopeScaling.None()),
                512,
                true,
                false,
                false,
                false,
                false,
                List.of(0, 0),
                List.of(0));
        WorldTokenizer.write(WorldTokenizer.train(1), folder);
        try (Engine engine = Engines.open("cpu");
                FullModel model = FullModel.random(config, engine, Precision.F32, DType.BF16, 1)) {
            model.save(folder);
        }
    }
}
