package dev.graft.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.common.InputException;
import dev.graft.data.Example;
import dev.graft.engine.Engine;
import dev.graft.io.AtomicFiles;
import dev.graft.io.Json;
import dev.graft.io.SafetensorsFile;
import dev.graft.io.SafetensorsWriter;
import dev.graft.model.Trainable;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostFloats;
import dev.graft.tensor.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.slf4j.LoggerFactory;

/**
 * Checkpoints of a run: {@code checkpoint-N/} under the output folder, with what the model itself saves, and beside it the exact
 * float32 values and moments and a few counters. With counter-based random numbers that is all it takes to go on with the same
 * bits.
 *
 * @param step steps done
 * @param elapsedSeconds of the run so far
 */
record TrainerState(int step, double elapsedSeconds) {
    private static final String FOLDER = "checkpoint-";
    private static final String JSON_FILE = "trainer_state.json";
    private static final String TENSOR_FILE = "trainer_state.safetensors";
    private static final List<String> FREE_TO_CHANGE = List.of("evalEvery", "saveEvery", "gradientCheckpointing");

    /** The newest whole checkpoint under {@code out}. */
    static Optional<Path> newest(Path out) {
        if (!Files.isDirectory(out)) {
            return Optional.empty();
        }
        try (Stream<Path> files = Files.list(out)) {
            return files.filter(folder -> number(folder) >= 0 && Files.exists(folder.resolve(JSON_FILE)))
                    .max(Comparator.comparingInt(TrainerState::number));
        } catch (IOException e) {
            throw new InputException(out + ": cannot be read (" + e.getMessage() + ")", e);
        }
    }

    private static int number(Path folder) {
        String name = folder.getFileName().toString();
        return name.matches(FOLDER + "\\d{1,9}") ? Integer.parseInt(name.substring(FOLDER.length())) : -1;
    }

    /** Writes a checkpoint under another name first, so that a folder called checkpoint-N is always whole. */
    Path write(Path out, Trainable model, Optimizer optimizer, TrainConfig config, long dataFingerprint) {
        Path folder = out.resolve(FOLDER + step);
        Path partial = out.resolve("." + FOLDER + step + ".partial");
        try {
            deleteFolder(partial);
            AtomicFiles.createDirectories(partial);
            model.save(partial);
            writeTensors(partial.resolve(TENSOR_FILE), model, optimizer);
            ObjectNode json = Json.mapper().createObjectNode();
            json.put("step", step);
            json.put("elapsed_s", elapsedSeconds);
            json.put("data_fingerprint", dataFingerprint);
            json.set("config", Json.mapper().valueToTree(config));
            json.set("model", Json.mapper().valueToTree(model.identity()));
            AtomicFiles.writeString(partial.resolve(JSON_FILE), json.toPrettyString() + "\n");
            deleteFolder(folder);
            Files.move(partial, folder, StandardCopyOption.ATOMIC_MOVE);
            return folder;
        } catch (IOException | UncheckedIOException e) {
            deleteQuietly(partial);
            throw new InputException(
                    "cannot write " + folder + ": " + e.getMessage() + "; free space or choose another --out", e);
        } catch (RuntimeException e) {
            deleteQuietly(partial);
            throw e;
        }
    }

    /** Restores values and moments from a checkpoint of the same run. */
    static TrainerState read(
            Path folder, Trainable model, Optimizer optimizer, TrainConfig config, long dataFingerprint) {
        Path file = folder.resolve(JSON_FILE);
        ObjectNode json = Json.readObject(file);
        checkSame(file, json.path("config"), Json.mapper().valueToTree(config));
        checkSame(file, json.path("model"), Json.mapper().valueToTree(model.identity()));
        if (json.path("data_fingerprint").asLong() != dataFingerprint) {
            throw new InputException(
                    file + ": this run was trained on other data or another --seq-len; resume with the same "
                            + "--data, or start anew from it with --init-adapter " + folder);
        }
        Engine engine = model.engine();
        try (SafetensorsFile tensors = SafetensorsFile.open(folder.resolve(TENSOR_FILE))) {
            restore(engine, tensors, "values", model.parameters().values());
            restore(engine, tensors, "moment1", optimizer.moment1());
            restore(engine, tensors, "moment2", optimizer.moment2());
        }
        model.parameters().refresh(engine);
        return new TrainerState(
                json.path("step").asInt(), json.path("elapsed_s").asDouble());
    }

    private static void checkSame(Path file, JsonNode saved, JsonNode wanted) {
        wanted.properties().forEach(entry -> {
            JsonNode before = saved.path(entry.getKey());
            if (!FREE_TO_CHANGE.contains(entry.getKey())
                    && !before.asText().equals(entry.getValue().asText())) {
                throw new InputException(file + ": the run to resume had " + entry.getKey() + " " + before.asText()
                        + ", now it is " + entry.getValue().asText() + "; resume with the same flags");
            }
        });
    }

    private static void restore(Engine engine, SafetensorsFile tensors, String name, Tensor target) {
        if (tensors.info(name).elements() != target.cols()) {
            throw new InputException(tensors.path() + ": " + name + " has "
                    + tensors.info(name).elements() + " numbers, this run trains " + target.cols()
                    + "; resume with the same model, --rank and --targets");
        }
        engine.upload(HostFloats.read(tensors.data(name), DType.F32, 0, target.cols()), target);
    }

    private static void writeTensors(Path file, Trainable model, Optimizer optimizer) {
        Engine engine = model.engine();
        try (Arena arena = Arena.ofConfined()) {
            List<SafetensorsWriter.Entry> entries = new ArrayList<>();
            entries.add(entry(engine, arena, "values", model.parameters().values()));
            entries.add(entry(engine, arena, "moment1", optimizer.moment1()));
            entries.add(entry(engine, arena, "moment2", optimizer.moment2()));
            SafetensorsWriter.write(file, Map.of("format", "pt"), entries);
        }
    }

    private static SafetensorsWriter.Entry entry(Engine engine, Arena arena, String name, Tensor tensor) {
        MemorySegment bytes = arena.allocate(tensor.byteSize(), 8);
        HostFloats.write(engine.download(tensor), bytes, DType.F32, 0);
        return SafetensorsWriter.Entry.of(name, DType.F32, List.of((long) tensor.cols()), bytes);
    }

    private static void deleteFolder(Path folder) throws IOException {
        if (!Files.exists(folder)) {
            return;
        }
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    private static void deleteQuietly(Path folder) {
        try {
            deleteFolder(folder);
        } catch (IOException | UncheckedIOException e) {
            // the failure that led here is the one to report
            LoggerFactory.getLogger(TrainerState.class).debug("left {} behind", folder, e);
        }
    }

    /** Tells one data set from another. */
    static long fingerprint(List<Example> data) {
        long hash = data.size();
        for (Example row : data) {
            hash = hash * 1_000_003 + Arrays.hashCode(row.inputIds());
            hash = hash * 1_000_003 + Arrays.hashCode(row.labels());
        }
        return hash;
    }
}
