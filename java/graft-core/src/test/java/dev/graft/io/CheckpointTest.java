package dev.graft.io;

import static dev.graft.io.Fixtures.assertInputError;
import static dev.graft.io.Fixtures.writeShard;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CheckpointTest {
    private static final String SHARD_1 = "model-00001-of-00002.safetensors";
    private static final String SHARD_2 = "model-00002-of-00002.safetensors";

    @TempDir
    Path folder;

    @Test
    void opensOneFile() throws IOException {
        writeShard(folder.resolve("model.safetensors"), "a", "b");
        try (Checkpoint model = Checkpoint.open(folder)) {
            assertThat(model.names()).containsExactly("a", "b");
            assertThat(model.files()).hasSize(1);
            assertThat(model.data("b").get(ValueLayout.JAVA_BYTE, 0)).isEqualTo((byte) 1);
        }
    }

    @Test
    void joinsShards() throws IOException {
        writeShard(folder.resolve(SHARD_1), "z", "b");
        writeShard(folder.resolve(SHARD_2), "c");
        index("{\"c\":\"%2$s\",\"b\":\"%1$s\",\"z\":\"%1$s\"}");
        MemorySegment data;
        try (Checkpoint model = Checkpoint.open(folder)) {
            assertThat(model.names()).containsExactly("z", "b", "c");
            assertThat(model.files())
                    .extracting(file -> file.path().getFileName().toString())
                    .containsExactly(SHARD_1, SHARD_2);
            assertThat(model.info("c").elements()).isEqualTo(1);
            data = model.data("b");
            assertThat(data.get(ValueLayout.JAVA_BYTE, 0)).isEqualTo((byte) 1);
            assertThat(data.isReadOnly()).isTrue();
            assertInputError(folder, () -> model.info("lm_head.weight")).contains("'lm_head.weight'", "3");
        }
        assertThatThrownBy(() -> data.get(ValueLayout.JAVA_BYTE, 0)).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void closingTwiceDoesNoHarm() throws IOException {
        writeShard(folder.resolve("model.safetensors"), "a");
        Checkpoint model = Checkpoint.open(folder);
        MemorySegment data = model.data("a");
        model.close();
        model.close();
        assertThatThrownBy(() -> data.get(ValueLayout.JAVA_BYTE, 0)).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void theSingleFileCountsWhereThereIsAnIndexToo() throws IOException {
        writeShard(folder.resolve("model.safetensors"), "a");
        index("{\"gone\":\"gone.safetensors\"}");
        try (Checkpoint model = Checkpoint.open(folder)) {
            assertThat(model.names()).containsExactly("a");
        }
    }

    @Test
    void followsLinksOutOfTheFolderAsTheHubCacheHasThem(@TempDir Path blobs) throws IOException {
        writeShard(blobs.resolve("0123abcd"), "a");
        Files.createSymbolicLink(folder.resolve(SHARD_1), blobs.resolve("0123abcd"));
        index("{\"a\":\"%1$s\"}");
        try (Checkpoint model = Checkpoint.open(folder)) {
            assertThat(model.names()).containsExactly("a");
        }
    }

    @Test
    void refusesTensorsThatIndexAndShardsDisagreeOn() throws IOException {
        writeShard(folder.resolve(SHARD_1), "a", "b");
        writeShard(folder.resolve(SHARD_2), "c");
        Path index = index("{\"a\":\"%1$s\",\"c\":\"%2$s\"}");
        assertInputError(index, () -> Checkpoint.open(folder)).contains("'b'", SHARD_1, "does not name it");

        index("{\"a\":\"%1$s\",\"b\":\"%1$s\",\"c\":\"%2$s\",\"d\":\"%2$s\"}");
        assertInputError(index, () -> Checkpoint.open(folder)).contains("'d'", "is not in its shard", SHARD_2);

        writeShard(folder.resolve(SHARD_2), "c", "a");
        index("{\"a\":\"%1$s\",\"b\":\"%1$s\",\"c\":\"%2$s\"}");
        assertInputError(index, () -> Checkpoint.open(folder)).contains("'a'", SHARD_2, "puts it in " + SHARD_1);
    }

    @Test
    void refusesMissingAndDamagedShards() throws IOException {
        writeShard(folder.resolve(SHARD_1), "a");
        Path index = index("{\"a\":\"%1$s\",\"c\":\"%2$s\"}");
        assertInputError(index, () -> Checkpoint.open(folder)).contains(SHARD_2, "missing", "download");

        Files.write(folder.resolve(SHARD_2), new byte[3]);
        assertInputError(folder.resolve(SHARD_2), () -> Checkpoint.open(folder)).contains("truncated");
    }

    @ParameterizedTest
    @ValueSource(strings = {"../outside.safetensors", "sub/../../outside.safetensors", ".", "", "..", "a\\u0000b"})
    void refusesShardNamesThatEscapeTheFolder(String shard) throws IOException {
        Path model = Files.createDirectory(folder.resolve("model"));
        writeShard(folder.resolve("outside.safetensors"), "a");
        Path index = model.resolve("model.safetensors.index.json");
        Files.writeString(index, "{\"weight_map\":{\"a\":\"" + shard + "\"}}");
        assertInputError(index, () -> Checkpoint.open(model)).containsAnyOf("outside the model", "not a file name");
    }

    @Test
    void refusesAbsoluteShardNames() throws IOException {
        writeShard(folder.resolve(SHARD_1), "a");
        Path index = index("{\"a\":\"" + folder.resolve(SHARD_1) + "\"}");
        assertInputError(index, () -> Checkpoint.open(folder)).contains("outside the model folder");
    }

    @ParameterizedTest
    @ValueSource(strings = {"{}", "[]", "{\"a\":1}", "{\"a\":null}", "3", "{\"a\":\"x\",\"a\":\"x\"}"})
    void refusesIndexesWithoutAWeightMap(String weightMap) throws IOException {
        Path index = index(weightMap);
        assertInputError(index, () -> Checkpoint.open(folder));
    }

    @Test
    void saysWhatAFolderHoldsInstead() throws IOException {
        assertInputError(folder, () -> Checkpoint.open(folder)).contains("model.safetensors.index.json");
        Files.createFile(folder.resolve("pytorch_model-00001-of-00002.bin"));
        assertInputError(folder, () -> Checkpoint.open(folder)).contains("pytorch_model-00001", "save_pretrained");
        Files.createFile(folder.resolve("adapter_model.safetensors"));
        assertInputError(folder, () -> Checkpoint.open(folder)).contains("adapter", "base model");
    }

    @Test
    void refusesWhatIsNoFolder() throws IOException {
        Path missing = folder.resolve("missing");
        assertInputError(missing, () -> Checkpoint.open(missing)).contains("does not exist");
        Path file = Files.createFile(folder.resolve("model.safetensors"));
        assertInputError(file, () -> Checkpoint.open(file)).contains("is a file");
    }

    private Path index(String weightMap) throws IOException {
        return Files.writeString(
                folder.resolve("model.safetensors.index.json"),
                "{\"metadata\":{\"total_size\":3},\"weight_map\":" + weightMap.formatted(SHARD_1, SHARD_2) + "}");
    }
}
