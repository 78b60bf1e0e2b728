package dev.graft.cli.run;

import dev.graft.common.InputException;
import dev.graft.data.Dataset;
import dev.graft.data.Example;
import dev.graft.train.TrainingSize;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** How large batches can get, for any {@code --batch-size} and {@code --seq-len}. */
@FunctionalInterface
public interface BatchLengths {
    /** @throws InputException where a batch has more tokens than can be counted */
    TrainingSize size(int batchSize, int seqLen);

    /** Nothing is known about the rows: each may be as long as allowed. */
    static BatchLengths full() {
        return (batchSize, seqLen) -> {
            try {
                return TrainingSize.most(batchSize, seqLen);
            } catch (ArithmeticException tooMany) {
                throw new InputException("--batch-size " + batchSize + " times --seq-len " + seqLen
                        + " is more tokens than a batch can have; lower one of them");
            }
        };
    }

    /** By the lengths of these rows. */
    static BatchLengths of(Dataset data, @Nullable Dataset evalData) {
        return (batchSize, seqLen) -> TrainingSize.of(
                cut(data.examples(), seqLen), evalData == null ? null : cut(evalData.examples(), seqLen), batchSize);
    }

    private static List<Example> cut(List<Example> rows, int seqLen) {
        return rows.stream()
                .map(row -> row.length() <= seqLen
                        ? row
                        : new Example(Arrays.copyOf(row.inputIds(), seqLen), Arrays.copyOf(row.labels(), seqLen)))
                .toList();
    }
}
