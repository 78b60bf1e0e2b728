package dev.graft.benchmarks.results;

import java.util.ArrayList;
import java.util.List;

/** Of {@code scripts/cost-growth}: speed and memory of a step against one number that grows, several sweeps a file. */
final class CostGrowth implements ResultKind {
    @Override
    public boolean reads(ResultFile file) {
        return file.kind().equals("cost-growth");
    }

    @Override
    public List<Section> sections(List<ResultFile> files) {
        List<Section> sections = new ArrayList<>();
        for (ResultFile file : files) {
            for (Sweep sweep : sweeps(file)) {
                sections.add(sweep.section(List.of(file.provenance())));
            }
        }
        return sections;
    }

    @Override
    public List<Plot> plots(List<ResultFile> files) {
        return files.stream()
                .flatMap(file -> sweeps(file).stream())
                .map(Sweep::plot)
                .toList();
    }

    private static List<Sweep> sweeps(ResultFile file) {
        String model = file.json().path("shape").asText() + ", "
                + file.json().path("precision").asText();
        return Sweep.of(file, file.json(), model, "peak_rss_bytes");
    }
}
