#include <utility>

#include "layerledger/base/text.hpp"
#include "layerledger/hdf5/file.hpp"
#include "layerledger/record/run_writer.hpp"

namespace layerledger {

void rename_image_lists(const std::string& path, const std::string& train_list,
                        const std::string& val_list) {
    try {
        hdf5::File file = hdf5::File::open(path, hdf5::Access::write, hdf5::Locking::locked);
        if (!file.contains("labels")) {
            return;
        }
        for (const auto& [name, list] :
             {std::pair("train_list", train_list), {"val_list", val_list}}) {
            if (!file.text_attribute("labels", name).value_or("").empty()) {
                file.set_attribute("labels", name, list);
            }
        }
        file.close();
    } catch (const Error& error) {
        throw Error(ExitCode::data_lost,
                    text("cannot write to '", path, "' that its lists of images were renamed (",
                         error.what(), ") close what reads the file and make room"));
    }
}

}  // namespace layerledger
