package dev.graft.benchmarks.results;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.common.InputException;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RenderResultsTest {
    @TempDir
    private Path folder;

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();

    private void render(Object... arguments) {
        RenderResults.run(
                Stream.of(arguments).map(Object::toString).toList(),
                new PrintStream(out, true, StandardCharsets.UTF_8),
                new PrintStream(err, true, StandardCharsets.UTF_8));
    }

    private Path samples() throws IOException {
        for (String name : Samples.NAMES) {
            Files.writeString(folder.resolve(name), Samples.text(name));
        }
        Files.writeString(folder.resolve("notes.txt"), "not a result");
        return folder;
    }

    @Test
    void allOfTheFolderWhereNoFileIsNamed() throws IOException {
        render(samples());
        assertThat(out.toString(StandardCharsets.UTF_8))
                .startsWith("### A LoRA training step")
                .contains("### Greedy", "### Cost", "### LoraLinear", "### Safetensors", "### Kernels on A GPU");
    }

    @Test
    void namedFilesOnly() throws IOException {
        render(samples(), folder.resolve("jmh.json"));
        assertThat(out.toString(StandardCharsets.UTF_8))
                .isEqualTo(String.join(
                        System.lineSeparator(),
                        "### Safetensors, model m",
                        "",
                        "| open |",
                        "|---|",
                        "| 1.50 ms |",
                        "",
                        "`jmh.json`; medians, iterations spread by 40 % (median of the table, at most 40 %)",
                        "",
                        ""));
    }

    @Test
    void plotsArePngFiles() throws IOException {
        Path plots = folder.resolve("plots");
        render(samples(), "--plot", plots);
        try (Stream<Path> files = Files.list(plots)) {
            List<Path> sorted = files.sorted().toList();
            assertThat(sorted)
                    .extracting(file -> file.getFileName().toString())
                    .containsExactly(
                            "compare-generate.png", "compare-pytorch.png", "cost-growth-seq.png", "gpu-shape.png");
            for (Path file : sorted) {
                BufferedImage image = ImageIO.read(file.toFile());
                assertThat(image.getWidth()).isEqualTo(900);
                assertThat(err.toString(StandardCharsets.UTF_8)).contains(file.toString());
            }
        }
    }

    @Test
    void whatIsNoResultIsRefused() throws IOException {
        Path other = Files.writeString(folder.resolve("other.json"), "{\"name\": 1}");
        assertThatThrownBy(() -> render(folder, other))
                .isInstanceOf(InputException.class)
                .hasMessageStartingWith("other.json: not a result of");
        assertThatThrownBy(() -> render(folder, folder.resolve("nowhere.json")))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("nowhere.json");
        assertThatThrownBy(() -> render(folder, "--plots", "x"))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("--plot DIR");
        assertThatThrownBy(() -> render(folder, "--plot"))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("--plot DIR");
        assertThatThrownBy(() -> render(folder.resolve("nowhere")))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("name result files");
    }

    @Test
    void cellsMayHoldBars() {
        assertThat(MarkdownTable.of("a|b").row("c").lines()).containsExactly("| a\\|b |", "|---|", "| c |");
    }
}
