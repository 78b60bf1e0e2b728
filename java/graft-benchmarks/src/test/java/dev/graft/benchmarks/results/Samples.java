package dev.graft.benchmarks.results;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.io.Json;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;

/** Small result files, one of each kind. */
final class Samples {
    static final List<String> NAMES = List.of(
            "kernels.json",
            "jmh.json",
            "compare-pytorch.json",
            "compare-generate.json",
            "cost-growth.json",
            "gpu.json");

    private Samples() {}

    static String text(String name) {
        try (InputStream stream = Samples.class.getResourceAsStream(name)) {
            return new String(Objects.requireNonNull(stream).readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static ResultFile file(String name) {
        return file(name, text(name));
    }

    static ResultFile file(String name, String json) {
        return new ResultFile(name, Json.parse(json, name));
    }

    /** The kind that takes the file, and no other. */
    static ResultKind kind(ResultFile file) {
        var kinds = RenderResults.byKind(List.of(file)).keySet();
        assertThat(kinds).hasSize(1);
        return kinds.iterator().next();
    }

    static List<Section> sections(String name) {
        ResultFile file = file(name);
        return kind(file).sections(List.of(file));
    }

    static List<Plot> plots(String name) {
        ResultFile file = file(name);
        return kind(file).plots(List.of(file));
    }
}
