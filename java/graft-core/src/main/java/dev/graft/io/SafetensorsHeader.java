package dev.graft.io;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import dev.graft.common.InputException;
import dev.graft.tensor.DType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The JSON header of a safetensors file, parsed and proven sound: every tensor has a known type, its shape fills its byte
 * range, and the ranges tile the data section without overlap, hole or rest. These are the rules of the reference
 * implementation ({@code Metadata::validate} in the Rust crate), and the format's own "no duplicate keys", which it lets pass.
 * Unknown keys of a tensor are ignored, as there.
 *
 * @param metadata the free-form {@code __metadata__}, in file order; empty if absent
 * @param tensors by name, ordered by offset
 */
record SafetensorsHeader(Map<String, String> metadata, Map<String, TensorInfo> tensors) {
    static final String METADATA_KEY = "__metadata__";

    private static final Comparator<TensorInfo> BY_OFFSET =
            Comparator.comparingLong(TensorInfo::begin).thenComparingLong(TensorInfo::end);

    /**
     * @param json the header text
     * @param dataBytes bytes of the file after the header
     */
    static SafetensorsHeader parse(Path file, String json, long dataBytes) {
        try (JsonParser parser = Json.mapper().createParser(json)) {
            return new HeaderReader(parser, file).read(dataBytes);
        } catch (JsonProcessingException e) {
            throw SafetensorsFile.damaged(file, "its header is not valid JSON: " + Json.reason(e));
        } catch (IOException e) {
            throw Faults.reading(file, e);
        }
    }

    /** One pass over the tokens; builds no tree, as headers may have 100 MB. */
    private record HeaderReader(JsonParser parser, Path file) {
        SafetensorsHeader read(long dataBytes) throws IOException {
            Map<String, String> metadata = Map.of();
            List<TensorInfo> tensors = new ArrayList<>();
            require(parser.nextToken() == JsonToken.START_OBJECT, "its header is not a JSON object");
            for (String key = parser.nextFieldName(); key != null; key = parser.nextFieldName()) {
                parser.nextToken();
                if (key.equals(METADATA_KEY)) {
                    metadata = readMetadata();
                } else {
                    tensors.add(readTensor(key));
                }
            }
            require(parser.nextToken() == null, "its header goes on after the JSON object");
            tensors.sort(BY_OFFSET);
            requireTiling(tensors, dataBytes);

            Map<String, TensorInfo> byName = LinkedHashMap.newLinkedHashMap(tensors.size());
            tensors.forEach(tensor -> byName.put(tensor.name(), tensor));
            return new SafetensorsHeader(metadata, Collections.unmodifiableMap(byName));
        }

        private Map<String, String> readMetadata() throws IOException {
            require(parser.currentToken() == JsonToken.START_OBJECT, METADATA_KEY + " is not a JSON object");
            Map<String, String> metadata = new LinkedHashMap<>();
            for (String key = parser.nextFieldName(); key != null; key = parser.nextFieldName()) {
                require(
                        parser.nextToken() == JsonToken.VALUE_STRING,
                        METADATA_KEY + " " + Text.quote(key) + " is not a string");
                metadata.put(key, parser.getText());
            }
            return Collections.unmodifiableMap(metadata);
        }

        private TensorInfo readTensor(String name) throws IOException {
            String tensor = "tensor " + Text.quote(name);
            require(parser.currentToken() == JsonToken.START_OBJECT, tensor + " is not a JSON object");
            DType dtype = null;
            List<Long> shape = null;
            List<Long> offsets = null;
            for (String key = parser.nextFieldName(); key != null; key = parser.nextFieldName()) {
                parser.nextToken();
                switch (key) {
                    case "dtype" -> dtype = readDType(tensor);
                    case "shape" -> shape = readNaturals(tensor, key);
                    case "data_offsets" -> offsets = readNaturals(tensor, key);
                    default -> parser.skipChildren();
                }
            }
            return checked(tensor, name, dtype, shape, offsets);
        }

        private TensorInfo checked(
                String tensor,
                String name,
                @Nullable DType dtype,
                @Nullable List<Long> shape,
                @Nullable List<Long> offsets) {
            if (dtype == null || shape == null || offsets == null) {
                throw damaged(tensor + " lacks dtype, shape or data_offsets");
            }
            require(offsets.size() == 2, tensor + " has " + offsets.size() + " data_offsets, not 2");
            try {
                return new TensorInfo(name, dtype, shape, offsets.getFirst(), offsets.getLast());
            } catch (IllegalArgumentException e) {
                throw damaged(tensor + ": " + Text.oneLine(String.valueOf(e.getMessage())));
            } catch (ArithmeticException e) {
                throw damaged(tensor + ": shape " + Text.oneLine(shape.toString()) + " overflows 64 bits");
            }
        }

        private DType readDType(String tensor) throws IOException {
            require(parser.currentToken() == JsonToken.VALUE_STRING, tensor + ": dtype is not a string");
            String name = parser.getText();
            for (DType dtype : DType.values()) {
                if (dtype.name().equals(name)) {
                    return dtype;
                }
            }
            throw new InputException(file + ": " + tensor + " has dtype " + Text.quote(name) + ", known are "
                    + Arrays.toString(DType.values()) + "; save it again with one of these");
        }

        private List<Long> readNaturals(String tensor, String key) throws IOException {
            require(parser.currentToken() == JsonToken.START_ARRAY, tensor + ": " + key + " is not an array");
            List<Long> values = new ArrayList<>();
            while (parser.nextToken() != JsonToken.END_ARRAY) {
                require(
                        parser.currentToken() == JsonToken.VALUE_NUMBER_INT && parser.getLongValue() >= 0,
                        tensor + ": " + key + " holds something other than a whole number from 0");
                values.add(parser.getLongValue());
            }
            return values;
        }

        /** Sorted ranges must follow each other from 0 to the end of the file. */
        private void requireTiling(List<TensorInfo> sorted, long dataBytes) {
            long covered = 0;
            for (TensorInfo tensor : sorted) {
                String name = "tensor " + Text.quote(tensor.name());
                if (tensor.end() > dataBytes) {
                    throw damaged(name + " ends at byte " + tensor.end() + " of the data but the file holds only "
                            + dataBytes + ": it is truncated");
                }
                require(tensor.begin() >= covered, name + " overlaps the tensor before it");
                require(
                        tensor.begin() == covered,
                        name + " begins " + (tensor.begin() - covered) + " bytes after the tensor before it ends");
                covered = tensor.end();
            }
            require(covered == dataBytes, (dataBytes - covered) + " bytes at its end belong to no tensor");
        }

        private void require(boolean sound, String fault) {
            if (!sound) {
                throw damaged(fault);
            }
        }

        private InputException damaged(String fault) {
            return SafetensorsFile.damaged(file, fault);
        }
    }
}
