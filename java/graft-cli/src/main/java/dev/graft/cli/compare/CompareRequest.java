package dev.graft.cli.compare;

import dev.graft.cli.tasks.FewShotTask;
import dev.graft.cli.tasks.TaskFamily;
import dev.graft.cli.tasks.TaskKind;
import dev.graft.common.InputException;
import dev.graft.engine.Precision;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * What a comparison is of.
 *
 * @param source model and task
 * @param wanted methods; null for all that the source allows
 * @param ranks of LoRA
 * @param shots numbers of examples
 * @param seeds runs of each
 * @param steps of a run
 * @param batchSize rows of a step
 * @param learningRates by method, where they are not the default ones
 * @param metaSteps in which a start is learned from other tasks
 * @param quick whether timings and held-out questions are fewer
 */
public record CompareRequest(
        Source source,
        @Nullable List<String> wanted,
        List<Integer> ranks,
        List<Integer> shots,
        int seeds,
        int steps,
        int batchSize,
        Map<String, Double> learningRates,
        int metaSteps,
        boolean quick,
        Precision precision) {

    static final String LORA = "lora";
    static final String DORA = "dora";
    static final String FULL = "full";
    static final String ADAPTER = "adapter";
    static final String META = "meta-lora";

    private static final List<String> METHODS = List.of(LORA, DORA, FULL, ADAPTER, META);
    /** Of a few that were tried on extract, the ones with the best scores. */
    private static final Map<String, Double> LEARNING_RATES =
            Map.of(LORA, 2e-3, DORA, 2e-3, FULL, 3e-4, ADAPTER, 3e-3, META, 2e-3);

    /** Model and task. */
    public sealed interface Source {
        /** A generated task of the embedded model. */
        record Generated(FewShotTask task) implements Source {}

        /** The user's own. */
        record Own(
                Path model,
                Path data,
                Path evalData,
                @Nullable Path baseData) implements Source {}

        /**
         * A task of the family.
         *
         * @param name a kind, or a kind and a seed: {@code extract/3}; a kind alone means the first that no start is learned from
         */
        static Source generated(String name) {
            int slash = name.indexOf('/');
            TaskKind kind = TaskKind.of(slash < 0 ? name : name.substring(0, slash));
            if (slash < 0) {
                return new Generated(new TaskFamily(List.of(kind)).testTasks(1).getFirst());
            }
            String seed = name.substring(slash + 1);
            try {
                return new Generated(FewShotTask.of(kind, Long.parseLong(seed)));
            } catch (NumberFormatException e) {
                throw new InputException("--task " + name + ": '" + seed
                        + "' is no number; name a kind and one of its tasks," + " such as " + kind.label() + "/3");
            }
        }

        static Source own(Path model, @Nullable Path data, @Nullable Path evalData, @Nullable Path baseData) {
            return new Own(model, Objects.requireNonNull(data), Objects.requireNonNull(evalData), baseData);
        }
    }

    public CompareRequest {
        if (wanted != null) {
            wanted.forEach(method -> requireKnown("--methods", method));
            if (wanted.contains(META) && source instanceof Source.Own) {
                throw new InputException(
                        "--methods " + META + ": a start is learned from many tasks, of which your rows are"
                                + " one; leave it out, or see graft meta-train --tasks");
            }
        }
        learningRates.keySet().forEach(method -> requireKnown("--lrs", method));
        requirePositive("--ranks", ranks);
        requirePositive("--shots", shots);
        requirePositive("--seeds", List.of(seeds));
        requirePositive("--steps", List.of(steps));
        requirePositive("--batch-size", List.of(batchSize));
        requirePositive("--meta-steps", List.of(metaSteps));
        ranks = List.copyOf(new TreeSet<>(ranks));
        shots = List.copyOf(new TreeSet<>(shots));
    }

    private static void requireKnown(String flag, String method) {
        if (!METHODS.contains(method)) {
            throw new InputException(
                    flag + " " + method + ": there is no such method; use " + String.join(", ", METHODS));
        }
    }

    private static void requirePositive(String flag, List<Integer> values) {
        if (values.isEmpty() || values.stream().anyMatch(value -> value < 1)) {
            throw new InputException(flag + " " + values + ": give numbers of at least 1");
        }
    }

    /** The methods to compare, in the order of the table. */
    List<String> methods() {
        Set<String> chosen = wanted == null ? Set.copyOf(METHODS) : Set.copyOf(wanted);
        return METHODS.stream()
                .filter(chosen::contains)
                .filter(method -> !method.equals(META) || source instanceof Source.Generated)
                .toList();
    }

    double learningRate(String method) {
        return learningRates.getOrDefault(method, LEARNING_RATES.get(method));
    }
}
