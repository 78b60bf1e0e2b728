package dev.graft.cli.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.cli.options.TrainRequest;
import dev.graft.common.InputException;
import dev.graft.engine.BufferLayout;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.io.Checkpoint;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.TargetMatcher;
import dev.graft.model.ConfigReader;
import dev.graft.model.Decoder;
import dev.graft.model.DecoderConfig;
import dev.graft.train.Method;
import dev.graft.train.ParityCase;
import dev.graft.train.TrainConfig;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** The flags that are proposed where memory is short: they fit, and larger ones would not. */
class MemoryCheckTest {
    private static final int SEQ_LEN = 512;

    private final Path model = ParityCase.named("llama_basic").model();

    /** An engine of which only the memory matters. */
    private static Engine engineWith(long availableBytes) {
        return (Engine) Proxy.newProxyInstance(
                Engine.class.getClassLoader(),
                new Class<?>[] {Engine.class},
                (proxy, method, arguments) -> switch (method.getName()) {
                    case "availableBytes" -> availableBytes;
                    // all weights are used in place
                    case "freezeBytes" -> 0L;
                    case "bufferLayout" -> BufferLayout.PLAIN;
                    default -> throw new UnsupportedOperationException(method.getName());
                });
    }

    private MemoryCheck check(int batchSize, int gradAccum, int seqLen, long availableBytes) {
        return check(batchSize, gradAccum, seqLen, false, availableBytes);
    }

    private MemoryCheck check(int batchSize, int gradAccum, int seqLen, boolean checkpointed, long availableBytes) {
        DecoderConfig config = ConfigReader.read(model);
        LoraConfig lora = LoraConfig.builder().build();
        TrainRequest request = new TrainRequest(
                model,
                config,
                new Method.Lora(lora, TargetMatcher.match(lora, Decoder.linearModules(config))),
                null,
                TrainConfig.builder()
                        .batchSize(batchSize)
                        .gradAccum(gradAccum)
                        .gradientCheckpointing(checkpointed)
                        .build(),
                Precision.F32,
                seqLen,
                null);
        try (Checkpoint checkpoint = Checkpoint.open(model)) {
            return MemoryCheck.of(request, engineWith(availableBytes), Precision.F32, checkpoint, BatchLengths.full());
        }
    }

    private long needed(int batchSize, int seqLen) {
        return needed(batchSize, seqLen, false);
    }

    private long needed(int batchSize, int seqLen, boolean checkpointed) {
        return check(batchSize, 1, seqLen, checkpointed, Long.MAX_VALUE).plan().allocatedBytes();
    }

    @Test
    void fitsToTheByte() {
        assertThat(check(4, 1, SEQ_LEN, needed(4, SEQ_LEN)).fits()).isTrue();
        assertThat(check(4, 1, SEQ_LEN, needed(4, SEQ_LEN) - 1).fits()).isFalse();
    }

    @Test
    void proposesTheLargestBatchThatKeepsTheRowsOfAStep() {
        // 12 rows a step: 5 would fit, 4 is the largest divisor
        MemoryCheck check = check(6, 2, SEQ_LEN, needed(5, SEQ_LEN));
        assertThat(check.remedy()).isEqualTo("use --batch-size 4 --grad-accum 3, which computes the same");
        assertThatThrownBy(check::requireFits)
                .isInstanceOf(InputException.class)
                .hasMessageContaining("this run needs")
                .hasMessageContaining("--batch-size 4 --grad-accum 3");
    }

    @Test
    void proposesGradientCheckpointingWhereNoBatchFits() {
        assertThat(needed(4, SEQ_LEN, true)).isLessThan(needed(4, SEQ_LEN)).isLessThan(needed(1, SEQ_LEN) * 4);
        assertThat(check(2, 3, SEQ_LEN, needed(1, SEQ_LEN) - 1).remedy())
                .isEqualTo(
                        "use --gradient-checkpointing --batch-size 1 --grad-accum 6, which computes the same in more time");
        assertThat(check(1, 3, SEQ_LEN, needed(1, SEQ_LEN) - 1).remedy())
                .isEqualTo("use --gradient-checkpointing, which computes the same in more time");
    }

    @Test
    void proposesTheLongestRowsWhereNothingElseFits() {
        assertThat(check(4, 2, SEQ_LEN, needed(1, 300, true)).remedy())
                .isEqualTo("use --gradient-checkpointing --batch-size 1 --grad-accum 8 --seq-len 300");
    }

    @Test
    void saysWhereNothingHelps() {
        assertThat(check(4, 1, SEQ_LEN, 1000).remedy())
                .contains("no batch size or sequence length")
                .contains("--precision bf16")
                .contains("a smaller model");
    }

    @Test
    void refusesBatchesThatCannotBeCounted() {
        assertThatThrownBy(() -> check(1 << 14, 1, 1 << 14, Long.MAX_VALUE))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("--batch-size 16384 makes batches of 268,435,456 tokens");
    }
}
