package dev.graft.benchmarks.results;

import dev.graft.common.InputException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Prints result files as Markdown and, with {@code --plot DIR}, draws them: {@code RenderResults FOLDER [--plot DIR] [FILE...]}. Without
 * files, all of the folder.
 */
public final class RenderResults {
    private static final List<ResultKind> KINDS = List.of(
            new PytorchComparison(), new GenerateComparison(), new CostGrowth(), new KernelResults(), new GpuResults());

    private RenderResults() {}

    public static void main(String[] arguments) {
        System.setProperty("java.awt.headless", "true");
        try {
            run(List.of(arguments), System.out, System.err);
        } catch (InputException e) {
            System.err.println("render-results: " + e.getMessage());
            System.exit(2);
        }
    }

    static void run(List<String> arguments, PrintStream out, PrintStream err) {
        List<Path> files = new ArrayList<>();
        Path plots = null;
        for (int i = 1; i < arguments.size(); i++) {
            String argument = arguments.get(i);
            if (argument.equals("--plot") && i + 1 < arguments.size()) {
                plots = Path.of(arguments.get(++i));
            } else if (argument.startsWith("-")) {
                throw new InputException(argument + ": the only option is --plot DIR; all else are result files");
            } else {
                files.add(Path.of(argument));
            }
        }
        if (files.isEmpty()) {
            files.addAll(jsonFiles(Path.of(arguments.getFirst())));
        }
        render(files.stream().map(ResultFile::read).toList(), plots, out, err);
    }

    private static List<Path> jsonFiles(Path folder) {
        try (Stream<Path> all = Files.list(folder)) {
            return all.filter(file -> file.toString().endsWith(".json"))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new InputException(folder + ": cannot be read (" + e.getMessage() + "); name result files", e);
        }
    }

    private static void render(List<ResultFile> files, @Nullable Path plots, PrintStream out, PrintStream err) {
        for (Map.Entry<ResultKind, List<ResultFile>> group : byKind(files).entrySet()) {
            for (Section section : group.getKey().sections(group.getValue())) {
                section.lines().forEach(out::println);
            }
            if (plots != null) {
                for (Plot plot : group.getKey().plots(group.getValue())) {
                    err.println("render-results: " + PlotWriter.write(plots, plot));
                }
            }
        }
    }

    /** In the order of {@link #KINDS}. @throws InputException for a file of no kind */
    static Map<ResultKind, List<ResultFile>> byKind(List<ResultFile> files) {
        Map<ResultKind, List<ResultFile>> groups = new LinkedHashMap<>();
        KINDS.forEach(kind -> groups.put(kind, new ArrayList<>()));
        for (ResultFile file : files) {
            ResultKind kind = KINDS.stream()
                    .filter(candidate -> candidate.reads(file))
                    .findFirst()
                    .orElseThrow(
                            () -> new InputException(
                                    file.name()
                                            + ": not a result of bench-kernels, compare-pytorch, compare-generate, cost-growth or gpu-verify"));
            groups.get(kind).add(file);
        }
        groups.values().removeIf(List::isEmpty);
        return groups;
    }
}
