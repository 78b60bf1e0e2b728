package dev.graft.cli.run;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.cli.console.Table;
import dev.graft.cli.console.Units;
import dev.graft.cli.options.TrainRequest;
import dev.graft.engine.MemoryKind;
import dev.graft.io.Json;
import dev.graft.lora.LinearModule;
import dev.graft.lora.SavableWeight;
import dev.graft.lora.TargetMatcher;
import dev.graft.model.DecoderConfig;
import dev.graft.model.FrozenWeights;
import dev.graft.model.WeightShape;
import dev.graft.train.Method;
import dev.graft.train.TrainingPlan;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What a run trains and needs, for people and for programs. */
public record PlanReport(TrainRequest request, MemoryCheck memory) {
    /** Adapted layers of the same name, shape, rank and alpha. */
    private record Group(String suffix, int out, int in, int rank, double alpha, long trainable) {
        static Group of(Method.Lora lora, TargetMatcher.Match match) {
            LinearModule module = match.module();
            String suffix = module.name().substring(module.name().lastIndexOf('.') + 1);
            return new Group(
                    suffix, module.out(), module.in(), match.rank(), match.alpha(), lora.trainableCount(match));
        }
    }

    /** Weights of the same name and shape that are trained whole. */
    private record WholeGroup(String suffix, int rows, int cols) {
        static WholeGroup of(SavableWeight weight) {
            String module = weight.name().substring(0, weight.name().lastIndexOf('.'));
            return new WholeGroup(weight.name().substring(module.lastIndexOf('.') + 1), weight.rows(), weight.cols());
        }

        long trainable() {
            return (long) rows * cols;
        }
    }

    /** Numbers in a model's weights; a tied head counts once. */
    public static long parameters(DecoderConfig config) {
        return WeightShape.of(config).stream().mapToLong(WeightShape::size).sum();
    }

    private TrainingPlan plan() {
        return memory.plan();
    }

    private long trainable() {
        return request.method().trainableCount(request.config());
    }

    /** Numbers of the model while it is trained. */
    private long allParameters() {
        return allParameters(request.method(), request.config());
    }

    /** Numbers of a model in training by {@code method}: its weights, and what is beside them. */
    public static long allParameters(Method method, DecoderConfig config) {
        return parameters(config) + (method instanceof Method.Full ? 0 : method.trainableCount(config));
    }

    /** What is trained, in one line. */
    public String trainableLine() {
        String line = "trains " + Units.counted(trainable(), "parameter") + " ("
                + Units.share(trainable(), allParameters()) + " of all)";
        return switch (request.method()) {
            case Method.Lora lora -> {
                int whole = lora.savedWeights(request.config()).size();
                yield line + " in " + Units.counted(lora.matches().size(), "layer")
                        + (whole == 0 ? "" : " and " + Units.counted(whole, "whole weight"));
            }
            case Method.Adapter modules ->
                line + " in "
                        + Units.counted(
                                (long) modules.config().modulesPerLayer()
                                        * request.config().layers(),
                                "module");
            case Method.JointLora joint -> line;
            case Method.Full full -> line;
        };
    }

    /** The memory in two lines. */
    public List<String> memoryLines() {
        List<String> parts = new ArrayList<>();
        plan().total().bytesByKind().forEach((kind, bytes) -> parts.add(kind.label() + " " + Units.bytes(bytes)));
        return List.of(
                "memory: " + Units.bytes(plan().allocatedBytes()) + " of "
                        + Units.bytes(memory.availableBytes()) + " available"
                        + (mappedBytes() == 0
                                ? ""
                                : ", and " + Units.bytes(mappedBytes()) + " of weights used in place in their file"),
                "  " + String.join(", ", parts));
    }

    private long mappedBytes() {
        return plan().total().totalBytes() - plan().allocatedBytes();
    }

    private List<TargetMatcher.Match> matches() {
        return request.method() instanceof Method.Lora lora ? lora.matches() : List.of();
    }

    private Map<Group, Integer> groups() {
        Map<Group, Integer> groups = new LinkedHashMap<>();
        if (request.method() instanceof Method.Lora lora) {
            lora.matches().forEach(match -> groups.merge(Group.of(lora, match), 1, Integer::sum));
        }
        return groups;
    }

    private Map<WholeGroup, Integer> wholeGroups() {
        Map<WholeGroup, Integer> groups = new LinkedHashMap<>();
        if (request.method() instanceof Method.Lora lora) {
            lora.savedWeights(request.config()).forEach(weight -> groups.merge(WholeGroup.of(weight), 1, Integer::sum));
        }
        return groups;
    }

    private List<String> moduleLines() {
        Table modules = Table.ofNumbers().row("adapted layers", "count", "out x in", "rank", "alpha", "parameters");
        groups().forEach((group, count) -> modules.row(
                "  " + group.suffix(),
                Integer.toString(count),
                group.out() + " x " + group.in(),
                Integer.toString(group.rank()),
                Units.plain(group.alpha()),
                Units.count(count * group.trainable())));
        wholeGroups()
                .forEach((group, count) -> modules.row(
                        "  " + group.suffix(),
                        Integer.toString(count),
                        group.rows() + " x " + group.cols(),
                        "whole",
                        "",
                        Units.count(count * group.trainable())));
        return modules.lines();
    }

    /** The whole report as text. */
    public List<String> lines() {
        List<String> lines = new ArrayList<>();
        if (!matches().isEmpty()) {
            lines.addAll(moduleLines());
        }
        lines.add(trainableLine());
        lines.add("");
        Table kinds = Table.ofNumbers().row("memory", "");
        plan().total().bytesByKind().forEach((kind, bytes) -> kinds.row("  " + kind.label(), Units.bytes(bytes)));
        kinds.row("  total", Units.bytes(plan().total().totalBytes()));
        if (mappedBytes() > 0) {
            kinds.row("  " + FrozenWeights.MAPPED, "- " + Units.bytes(mappedBytes()));
        }
        kinds.row("  to allocate", Units.bytes(plan().allocatedBytes()))
                .row("  available", Units.bytes(memory.availableBytes()));
        lines.addAll(kinds.lines());
        lines.add(memory.fits() ? "fits" : "does not fit: " + memory.remedy());
        return lines;
    }

    /** The whole report as JSON. */
    public ObjectNode json() {
        ObjectNode json = Json.mapper().createObjectNode();
        ArrayNode modules = json.putArray("modules");
        groups().forEach((group, count) -> modules.addObject()
                .put("name", group.suffix())
                .put("count", count)
                .put("out", group.out())
                .put("in", group.in())
                .put("rank", group.rank())
                .put("alpha", group.alpha())
                .put("parameters", count * group.trainable()));
        ArrayNode whole = json.putArray("whole_weights");
        wholeGroups()
                .forEach((group, count) -> whole.addObject()
                        .put("name", group.suffix())
                        .put("count", count)
                        .put("rows", group.rows())
                        .put("cols", group.cols())
                        .put("parameters", count * group.trainable()));
        json.put("matched_modules", matches().size());
        json.put("trainable_parameters", trainable());
        json.put("all_parameters", allParameters());
        json.put("trainable_share", (double) trainable() / allParameters());
        ObjectNode kinds = json.putObject("memory_bytes");
        plan().total().bytesByKind().forEach((kind, bytes) -> kinds.put(key(kind), bytes));
        json.put("total_bytes", plan().total().totalBytes());
        json.put("mapped_bytes", mappedBytes());
        json.put("allocated_bytes", plan().allocatedBytes());
        json.put("available_bytes", memory.availableBytes());
        json.put("fits", memory.fits());
        json.put("remedy", memory.fits() ? null : memory.remedy());
        return json;
    }

    private static String key(MemoryKind kind) {
        return kind.label().replace(' ', '_');
    }
}
